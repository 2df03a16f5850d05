// `npx tsx bench/two-server-utility.ts`: what the votes that can be proven cost against those of trusted mode, on data/debian
// with the clients, texts and start of bench/results.ts. First the histogram alone: how many of the top candidates of the
// noiseless normalised votes each noisy histogram finds. Then evolution, where a variation is a public text near its
// parent, so that no language model has a part in the differences. Writes its tables into docs/results.md.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadConfig } from '../src/config/load.ts'
import { createEmbedder } from '../src/embeddings/create.ts'
import { gatherRows, type Matrix, matrix } from '../src/embeddings/matrix.ts'
import { clusterBootstrap, embedConsented, nearestDistances } from '../src/evaluate/consented-distance.ts'
import { initialFromPublic } from '../src/evolution/initial.ts'
import { UNLABELLED } from '../src/evolution/labels.ts'
import type { Population } from '../src/evolution/population.ts'
import { round } from '../src/evolution/round.ts'
import { type VoteMode, type VoteOptions, voteBound } from '../src/histogram/bound.ts'
import { clip } from '../src/histogram/clip.ts'
import { createNeighbours } from '../src/histogram/create-neighbours.ts'
import { ExactVotes } from '../src/histogram/exact-votes.ts'
import { addNoise, type NoisyHistogram } from '../src/histogram/noise.ts'
import { calibrateNoise } from '../src/privacy/calibration.ts'
import { systemRandom } from '../src/privacy/private-random.ts'
import { type Random, seededRandom } from '../src/random.ts'
import { readInputs } from '../src/run/inputs.ts'

const ROOT = new URL('..', import.meta.url).pathname
const SEEDS = Array.from({ length: 10 }, (_, i) => i + 1)
const EPSILONS = [1.29, 7.58]
const DELTA = 3e-6
const CANDIDATES = 1024
/** The histogram alone is one of so many rounds, as in the runs of bench/gpu. */
const ROUNDS_OF_A_RUN = 11
const TOP = [16, 64, 256]
/** Public texts that a variation is drawn from: the nearest to its parent that the population does not have. */
const NEARBY = 8

interface Setting {
  readonly maxTextsPerClient: number
  readonly neighbours: number
}
const SETTINGS: readonly Setting[] = [
  { maxTextsPerClient: 4, neighbours: 1 },
  { maxTextsPerClient: 8, neighbours: 2 },
]
interface Arm {
  readonly name: string
  readonly mode: VoteMode
  readonly maxCandidates?: number
  /** Parties that add the full noise each. */
  readonly noises: number
}
const armsOf = ({ maxTextsPerClient, neighbours }: Setting): Arm[] => {
  const most = maxTextsPerClient * neighbours
  const ks = [1, 4, 16].filter((k) => k <= most)
  return [
    { name: 'normalised', mode: 'normalised', noises: 1 },
    { name: 'counts', mode: 'counts', noises: 1 },
    ...ks.flatMap((maxCandidates): Arm[] => [
      { name: `multihot, k = ${maxCandidates}`, mode: 'multihot', maxCandidates, noises: 1 },
      { name: `multihot, k = ${maxCandidates}, two servers`, mode: 'multihot', maxCandidates, noises: 2 },
    ]),
  ]
}

/** The control: a release of nothing but noise. */
const NOBODY: Arm = { name: 'no votes, fresh noise', mode: 'normalised', noises: 1 }

const log = (line: string) => console.error(`${new Date().toISOString().slice(11, 19)} ${line}`)
const loaded = await loadConfig(join(ROOT, 'bench/results.yaml'))
const { config } = loaded
const { clients, consented, publicTexts } = await readInputs(loaded)
if (clients === undefined || consented === undefined) throw new Error('expected private and consented texts')
if (clients.kind !== 'simulation') throw new Error('expected texts declared free for experiments')
const embedder = await createEmbedder({ model: config.embeddings.model, device: 'cpu' })
const short = publicTexts.filter((text) => text.split(/\s+/).length <= config.evolution.variation.maxWords)
const pool = [...new Set(short)]
log(`embedding ${pool.length} public texts, ${clients.texts} of the clients, ${consented.texts} held out`)
const publicRows = await embedder.embed(pool)
const clientRows: Matrix[] = []
for (let i = 0; i < clients.clients; i++) clientRows.push(await embedder.embed(clients.read(i).texts))
const heldOut = await embedConsented(consented, embedder, { maxTextsPerClient: 8 })
const rowOf = new Map(pool.map((text, i) => [text, i]))

/** What each client's texts vote for before any clip: the same texts and neighbours for every arm. */
async function countsOf(
  candidates: Matrix,
  setting: Setting,
  random: Random,
): Promise<Map<number, number>[]> {
  const index = await createNeighbours(candidates, { distance: 'l2', backend: 'exact', seed: 0 })
  const chosen = clientRows.map((rows, i) => {
    const all = Array.from({ length: rows.rows }, (_, row) => row)
    const own = random.fork('texts', i).sample(all, Math.min(setting.maxTextsPerClient, rows.rows))
    return gatherRows(rows, own)
  })
  // One search for all of them: exact search answers each row as if it were alone.
  const rows = chosen.reduce((sum, own) => sum + own.rows, 0)
  const queries = matrix(rows, candidates.dim)
  let at = 0
  for (const own of chosen) {
    queries.values.set(own.values, at * candidates.dim)
    at += own.rows
  }
  const { indices } = await index.nearest(queries, setting.neighbours)
  let next = 0
  const counts = chosen.map((own) => {
    const of = new Map<number, number>()
    for (let i = 0; i < own.rows * setting.neighbours; i++) {
      const candidate = indices[next++] as number
      of.set(candidate, (of.get(candidate) ?? 0) + 1)
    }
    return of
  })
  await index.dispose()
  return counts
}

/** The histogram of an arm: the deployed clip, sum and noise. Two servers: a noise of the same size from each. */
function histogramOf(
  counts: readonly Map<number, number>[],
  candidates: number,
  setting: Setting,
  arm: Arm,
  noiseMultiplier: number,
): NoisyHistogram {
  const { mode, maxCandidates } = arm
  const options: VoteOptions = { mode, ...setting, ...(maxCandidates === undefined ? {} : { maxCandidates }) }
  const bound = voteBound(options)
  const votes = new ExactVotes(candidates, bound, true)
  for (const own of counts) votes.add(clip(own, options, bound))
  if (noiseMultiplier === 0) return addNoise(votes, { type: 'exact' }, 1, systemRandom())
  const mechanism = { type: 'gaussian', noiseMultiplier } as const
  const first = addNoise(votes, mechanism, 1, systemRandom())
  if (arm.noises === 1) return first
  const second = addNoise(new ExactVotes(candidates, bound, true), mechanism, 1, systemRandom())
  return {
    ...first,
    steps: first.steps.map((value, i) => value + (second.steps[i] as number)),
    sigma: first.sigma * Math.SQRT2,
  }
}

const top = ({ steps }: NoisyHistogram, m: number): Set<number> =>
  new Set([...steps.keys()].sort((a, b) => (steps[b] as number) - (steps[a] as number) || a - b).slice(0, m))

const percent = (values: readonly number[]): string => {
  const mean = values.reduce((a, b) => a + b, 0) / values.length
  const sd = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / (values.length - 1))
  return `${(100 * mean).toFixed(0)} ± ${(100 * sd).toFixed(0)}`
}
const titleOf = ({ maxTextsPerClient, neighbours }: Setting) =>
  `${maxTextsPerClient} texts a client, ${neighbours === 1 ? 'nearest candidate' : `${neighbours} nearest candidates`}`

async function precision(): Promise<string[]> {
  const lines: string[] = []
  for (const setting of SETTINGS) {
    const found = new Map<string, number[][]>()
    const norms: number[] = []
    for (const seed of SEEDS) {
      const random = seededRandom(seed, 'precision')
      const chosen = random.fork('candidates').sample([...pool.keys()], CANDIDATES)
      const counts = await countsOf(gatherRows(publicRows, chosen), setting, random)
      norms.push(...counts.map(({ size }) => size))
      const [normalised, ...others] = armsOf(setting) as [Arm, ...Arm[]]
      const reference = histogramOf(counts, CANDIDATES, setting, normalised, 0)
      for (const arm of [normalised, ...others]) {
        for (const [e, epsilon] of [...EPSILONS, Number.POSITIVE_INFINITY].entries()) {
          const noise =
            epsilon === Number.POSITIVE_INFINITY ? 0 : calibrateNoise(epsilon, DELTA, ROUNDS_OF_A_RUN)
          const noisy = histogramOf(counts, CANDIDATES, setting, arm, noise)
          for (const [t, m] of TOP.entries()) {
            const target = top(reference, m)
            const share = [...top(noisy, m)].filter((i) => target.has(i)).length / m
            const cell = `${arm.name}|${e}|${t}`
            found.set(cell, [...(found.get(cell) ?? []), [share]])
          }
        }
      }
      log(`histogram, ${titleOf(setting)}: seed ${seed} done`)
    }
    const mean = norms.reduce((a, b) => a + b, 0) / norms.length
    lines.push(
      `${titleOf(setting)} (a client has votes for ${mean.toFixed(1)} candidates on average):`,
      '',
      `| votes | ${[...EPSILONS.map((e) => `epsilon ${e}`), 'no noise'].flatMap((e) => TOP.map((m) => `${e}: top ${m}`)).join(' | ')} |`,
      `| --- |${' ---: |'.repeat(TOP.length * (EPSILONS.length + 1))}`,
      ...armsOf(setting).map(({ name, noises }) => {
        const cells = [...EPSILONS, Number.POSITIVE_INFINITY].flatMap((epsilon, e) =>
          TOP.map((_, t) =>
            noises === 2 && epsilon === Number.POSITIVE_INFINITY
              ? ''
              : percent((found.get(`${name}|${e}|${t}`) as number[][]).flat()),
          ),
        )
        return `| ${name} | ${cells.join(' | ')} |`
      }),
      '',
    )
  }
  return lines
}

const publicIndex = await createNeighbours(publicRows, { distance: 'l2', backend: 'exact', seed: 0 })
/** Each parent's variation: one of the nearest public texts that neither the population nor a sibling is. */
async function nearbyTexts(parents: Population, population: Population, random: Random): Promise<Population> {
  const taken = new Set(population.map(({ text }) => text))
  const rows = parents.map(({ text }) => rowOf.get(text) as number)
  const k = Math.min(pool.length, 512)
  const { indices } = await publicIndex.nearest(gatherRows(publicRows, rows), k)
  return parents.map((parent, i) => {
    const near: string[] = []
    for (const row of indices.subarray(i * k, (i + 1) * k)) {
      const text = pool[row] as string
      if (!taken.has(text)) near.push(text)
      if (near.length === NEARBY) break
    }
    const text = near.length === 0 ? parent.text : random.pick(near)
    taken.add(text)
    return { ...parent, text, origin: 'nearby' }
  })
}

async function evolved(start: Population, setting: Setting, arm: Arm, epsilon: number, random: Random) {
  const noise = calibrateNoise(epsilon, DELTA, config.evolution.rounds)
  let population = start
  for (let t = 1; t <= config.evolution.rounds; t++) {
    const before = population
    const embeddings = gatherRows(
      publicRows,
      before.map(({ text }) => rowOf.get(text) as number),
    )
    const counts = arm === NOBODY ? [] : await countsOf(embeddings, setting, random.fork('voters', t))
    const result = await round(
      t,
      before,
      {
        lookahead: async () => embeddings,
        votes: async () => histogramOf(counts, before.length, setting, arm, noise),
        vary: (parents) => nearbyTexts(parents, before, random.fork('nearby', t)),
      },
      {
        survivors: config.evolution.survivors,
        labels: UNLABELLED,
        nextSize: before.length,
        random: random.fork('round'),
      },
    )
    population = result.next
  }
  return nearestDistances(
    heldOut,
    gatherRows(
      publicRows,
      population.map(({ text }) => rowOf.get(text) as number),
    ),
  )
}

async function evolution(): Promise<string[]> {
  const lines = [
    `| votes | ${SETTINGS.flatMap((setting) => EPSILONS.map((e) => `${titleOf(setting)}, epsilon ${e}`)).join(' | ')} |`,
    `| --- |${' ---: |'.repeat(SETTINGS.length * EPSILONS.length)}`,
  ]
  const cells = new Map<string, number[][][]>()
  const starts: number[][][] = []
  for (const seed of SEEDS) {
    const random = seededRandom(seed, 'evolution')
    const start = initialFromPublic(pool, config.evolution.population as number, UNLABELLED, random)
    starts.push(
      await nearestDistances(
        heldOut,
        gatherRows(
          publicRows,
          start.map(({ text }) => rowOf.get(text) as number),
        ),
      ),
    )
    for (const setting of SETTINGS) {
      for (const epsilon of EPSILONS) {
        for (const arm of [...armsOf(setting), NOBODY]) {
          const cell = `${arm.name}|${titleOf(setting)}|${epsilon}`
          const distances = await evolved(start, setting, arm, epsilon, random)
          cells.set(cell, [...(cells.get(cell) ?? []), distances])
        }
      }
    }
    log(`evolution: seed ${seed} done`)
  }
  const overSeeds = (of: readonly number[][][]): number[][] =>
    (of[0] as number[][]).map((own, c) =>
      own.map((_, i) => of.reduce((sum, seed) => sum + ((seed[c] as number[])[i] as number), 0) / of.length),
    )
  const interval = (values: number[][]): string => {
    const { mean, low, high } = clusterBootstrap(values, seededRandom(0, 'interval'))
    return `${mean.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`
  }
  const names = [...new Set(SETTINGS.flatMap((setting) => armsOf(setting).map(({ name }) => name)))]
  lines.push(
    `| start | ${SETTINGS.flatMap(() => EPSILONS.map(() => interval(overSeeds(starts)))).join(' | ')} |`,
  )
  for (const name of [...names, NOBODY.name]) {
    const row = SETTINGS.flatMap((setting) =>
      EPSILONS.map((epsilon) => {
        const own = cells.get(`${name}|${titleOf(setting)}|${epsilon}`)
        if (own === undefined) return ''
        const values = overSeeds(own)
        if (name === 'normalised') return interval(values)
        const base = overSeeds(cells.get(`normalised|${titleOf(setting)}|${epsilon}`) as number[][][])
        return interval(values.map((mine, c) => mine.map((d, i) => d - ((base[c] as number[])[i] as number))))
      }),
    )
    lines.push(`| ${name}${name === 'normalised' ? '' : ', less normalised'} | ${row.join(' | ')} |`)
  }
  return lines
}

const began = performance.now()
const text = [...(await precision()), ...(await evolution())].join('\n')
log(`took ${((performance.now() - began) / 60_000).toFixed(1)} minutes after the embeddings`)
await publicIndex.dispose()
await embedder.dispose()
console.log(text)
const page = join(ROOT, 'docs/results.md')
const before = await readFile(page, 'utf8')
await writeFile(
  page,
  before.replace(/(<!-- two-server -->\n)[\s\S]*?(<!-- end two-server -->)/, `$1\n${text}\n\n$2`),
)
