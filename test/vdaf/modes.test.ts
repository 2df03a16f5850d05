// The sum is the same whoever adds it up: votes clipped by the deployed clip, summed by trusted aggregation's ExactVotes, and
// by two aggregators that see shares alone, over either field. And with the noise of both, it is that sum plus that noise.
import { describe, expect, it } from 'vitest'
import { type VoteOptions, voteBound } from '../../src/histogram/bound.ts'
import { clip } from '../../src/histogram/clip.ts'
import { ExactVotes } from '../../src/histogram/exact-votes.ts'
import { addNoise } from '../../src/histogram/noise.ts'
import { systemRandom } from '../../src/privacy/private-random.ts'
import { seededRandom } from '../../src/random.ts'
import { multihotVdaf, NONCE_SIZE } from '../../src/vdaf/index.ts'

const CLIENTS = 60
const CANDIDATES = 96
const options: VoteOptions = { mode: 'multihot', maxTextsPerClient: 8, neighbours: 2, maxCandidates: 5 }

describe.each([false, true])('trusted and two-server sums of the same votes, multiproof %s', (multiproof) => {
  it('are equal, bit for bit, and so are sums with the same noise', () => {
    const random = seededRandom(7, 'modes')
    const bound = voteBound(options)
    const trusted = new ExactVotes(CANDIDATES, bound, true)
    const vdaf = multihotVdaf({ length: CANDIDATES, maxWeight: Number(bound.squared), multiproof })
    const verifyKey = crypto.getRandomValues(new Uint8Array(32))
    const context = new TextEncoder().encode('modes')
    const outputs: [Uint8Array[], Uint8Array[]] = [[], []]
    for (let c = 0; c < CLIENTS; c++) {
      // From no vote at all to more than may be cast, some candidates more than once.
      const counts = new Map<number, number>()
      for (let i = 0; i < c % 17; i++) {
        const candidate = random.integer(CANDIDATES)
        counts.set(candidate, (counts.get(candidate) ?? 0) + 1)
      }
      const vote = clip(counts, options, bound)
      trusted.add(vote)
      const bits = new Uint8Array(CANDIDATES)
      for (const index of vote.indices) bits[index] = 1
      const nonce = crypto.getRandomValues(new Uint8Array(NONCE_SIZE))
      const { publicShare, inputShares } = vdaf.shard(bits, { context, nonce })
      const verifications = inputShares.map((inputShare, aggregator) =>
        vdaf.verifyInit({ verifyKey, context, nonce, publicShare, inputShare, aggregator }),
      )
      const message = vdaf.verifierSharesToMessage(
        context,
        verifications.map(({ verifierShare }) => verifierShare),
      )
      verifications.forEach(({ state }, i) => {
        outputs[i as 0 | 1].push(vdaf.verifyNext(state, message))
      })
    }
    const exact = addNoise(trusted, { type: 'exact' }, 1, systemRandom()).steps
    const shares = outputs.map((own) => vdaf.aggregate(own)) as [Uint8Array, Uint8Array]
    expect(vdaf.unshard(shares, CLIENTS)).toEqual(exact)
    expect(Math.max(...exact)).toBeGreaterThan(1)

    const noises = [1, 2].map(() => {
      const nobody = new ExactVotes(CANDIDATES, bound, true)
      return addNoise(nobody, { type: 'gaussian', noiseMultiplier: 3 }, 1, systemRandom()).steps
    }) as [readonly number[], readonly number[]]
    const noisy = shares.map((share, i) => vdaf.addIntegers(share, noises[i as 0 | 1]))
    const sum = exact.map((value, i) => value + (noises[0][i] as number) + (noises[1][i] as number))
    expect(vdaf.unshardNoisy(noisy)).toEqual(sum)
  })
})
