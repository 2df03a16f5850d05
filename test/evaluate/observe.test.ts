// What a run reports of a round: the distance of the consented texts, from embeddings that the vote has made already.
import { expect, it } from 'vitest'
import type { Embedder } from '../../src/embeddings/embedder.ts'
import { createHashingEmbedder } from '../../src/embeddings/hashing.ts'
import { clusterBootstrap, embedConsented, nearestDistances } from '../../src/evaluate/consented-distance.ts'
import { voteBound } from '../../src/histogram/bound.ts'
import { ExactVotes } from '../../src/histogram/exact-votes.ts'
import { addNoise } from '../../src/histogram/noise.ts'
import { systemRandom } from '../../src/privacy/private-random.ts'
import { seededRandom } from '../../src/random.ts'
import { createObserver } from '../../src/run/observe.ts'
import { columnsOf } from '../../src/texts/columns.ts'
import { ConsentedTexts } from '../../src/texts/private-texts.ts'
import { sentence } from '../run/workspace.ts'

const population = Array.from({ length: 6 }, (_, i) => ({ text: sentence(i), born: 0, origin: 'public' }))
const consented = new ConsentedTexts(
  columnsOf([{ texts: [sentence(101), sentence(102)] }, { texts: [sentence(103)] }]),
)

it.each([
  [true, 'are taken as they are', 0],
  [false, 'that look ahead are made anew', 1],
])('embeddings of the vote (%s) %s', async (votedAsTheyAre, _, expected) => {
  const plain = createHashingEmbedder({})
  const own = await plain.embed(population.map(({ text }) => text))
  let asked = 0
  const embedder: Embedder = {
    ...plain,
    embed: (texts, options) => {
      if (texts.includes(population[0]?.text as string)) asked++
      return plain.embed(texts, options)
    },
  }
  const observer = createObserver({
    embedder,
    consented,
    maxTextsPerClient: 8,
    votedAsTheyAre,
    l2Bound: 1,
    random: seededRandom(1),
    onEvent: () => {},
    warn: (message) => expect.unreachable(message),
  })
  const bound = voteBound({ mode: 'normalised', maxTextsPerClient: 1, neighbours: 1 })
  const histogram = addNoise(new ExactVotes(6, bound, true), { type: 'exact' }, 1, systemRandom())
  const elsewhere = await plain.embed(population.map(({ text }) => `ahead of ${text}`))
  const embeddings = votedAsTheyAre ? own : elsewhere
  const result = {
    embeddings,
    histogram,
    survivors: population,
    threshold: null,
    fellBack: false,
    next: population,
  }
  const report = await observer.round(1, 1, population, result)
  expect(asked).toBe(expected)
  const of = await embedConsented(consented, plain, { maxTextsPerClient: 8 })
  const distances = await nearestDistances(of, own)
  expect(report.consentedDistance).toEqual(
    clusterBootstrap(distances, seededRandom(1).fork('bootstrap', 'round-1')),
  )
})
