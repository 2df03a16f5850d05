// Does the threshold, or the noise, decide how well evolution does? Each epsilon with each share of survivors, from the same
// start, with nothing else changed: `nice taskset -c 1 npx tsx bench/thresholds.ts [SEED...]` prints the table. Noise and
// votes are those of a run; a variation depends on its parent alone and is asked for once, so that 27 cells fit one core.
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadConfig } from '../src/config/load.ts'
import { clusterBootstrap, embedConsented, nearestDistances } from '../src/evaluate/consented-distance.ts'
import { initialFromPublic } from '../src/evolution/initial.ts'
import { UNLABELLED } from '../src/evolution/labels.ts'
import type { Candidate, Population } from '../src/evolution/population.ts'
import { round } from '../src/evolution/round.ts'
import { createVariation } from '../src/evolution/variation/create.ts'
import { voteBound } from '../src/histogram/bound.ts'
import { embedClients } from '../src/histogram/clients.ts'
import { createNeighbours } from '../src/histogram/create-neighbours.ts'
import { addNoise } from '../src/histogram/noise.ts'
import { systemRandom } from '../src/privacy/private-random.ts'
import { seededRandom } from '../src/random.ts'
import { readInputs } from '../src/run/inputs.ts'
import { voteOptions } from '../src/run/local-steps.ts'
import { openModels } from '../src/run/models.ts'
import { planNoise } from '../src/run/noise.ts'

const ROOT = new URL('..', import.meta.url).pathname
const EPSILONS = [1.29, 7.58, Number.POSITIVE_INFINITY]
/** Of the candidates: 1/16 is what two sigma left at epsilon 1.29 in docs/results.md, 1/2 what survived without noise. */
const SHARES = [1 / 16, 1 / 4, 1 / 2]
const SEEDS = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [1, 2, 3]
const POPULATION = 32
const ROUNDS = 3
/** So few that a candidate has as many votes for each sigma of the noise as in a run of 1,024 candidates. */
const CLIENTS = 66

const folder = join(ROOT, 'runs/thresholds')
await mkdir(folder, { recursive: true })
const began = Date.now()
const log = (line: string) => console.error(`${Math.round((Date.now() - began) / 1000)} s: ${line}`)

async function opened(seed: number) {
  const lines = (await readFile(join(ROOT, 'data/debian/clients.jsonl'), 'utf8')).trim().split('\n')
  const names = [...new Set(lines.map((line) => JSON.parse(line).client as string))]
  const chosen = new Set(seededRandom(seed, 'clients').sample(names, CLIENTS))
  const file = join(folder, `clients-${seed}.jsonl`)
  await writeFile(file, `${lines.filter((line) => chosen.has(JSON.parse(line).client)).join('\n')}\n`)
  const set = [
    `data.private.path=${file}`,
    `evolution.rounds=${ROUNDS}`,
    `evolution.population=${POPULATION}`,
    'evolution.variation.maxTokens=40',
  ]
  return loadConfig(join(ROOT, 'bench/results.yaml'), { set })
}

const first = await opened(SEEDS[0] as number)
const models = await openModels(first, join(folder, 'llm-cache.jsonl'), {})
const { embedder } = models
const embed = (population: Population) => embedder.embed(population.map((candidate) => candidate.text))
const { operators } = await createVariation(first.config.evolution.variation, {
  llm: models.llm,
  prompts: undefined,
  maskedModel: models.maskedModel,
})
const [operator] = operators
if (operator === undefined) throw new Error('expected an operator')

// The k-th variation of a text, in every cell the same; kept on the disk, so that it goes on where it stopped.
const childrenFile = join(folder, 'children.jsonl')
const children = new Map<string, Promise<string>>()
for (const line of (await readFile(childrenFile, 'utf8').catch(() => '')).split('\n')) {
  if (line === '') continue
  const { key, text } = JSON.parse(line)
  children.set(key, Promise.resolve(text))
}
let asked = 0
async function childOf(parent: Candidate, k: number): Promise<string> {
  const key = `${k} ${parent.text}`
  const made = children.get(key) ?? ask()
  children.set(key, made)
  return made
  async function ask(): Promise<string> {
    let text: string | null | undefined
    for (let attempt = 0; attempt < 3 && text == null; attempt++) {
      const random = seededRandom(0, 'child', parent.text, k, attempt)
      text = (await operator?.vary([{ parent, companions: [], random }], { degree: 0.5 }))?.[0]
    }
    asked++
    await appendFile(childrenFile, `${JSON.stringify({ key, text: text ?? parent.text })}\n`)
    return text ?? parent.text
  }
}

interface Cell {
  readonly epsilon: number
  readonly share: number
}
const CELLS: readonly Cell[] = EPSILONS.flatMap((epsilon) => SHARES.map((share) => ({ epsilon, share })))
const nameOf = ({ epsilon, share }: Cell) => `${epsilon} ${share}`

/** Of each cell: distances of the held-out texts to the nearest candidate, and of candidates to the nearest such text. */
const cover: Record<string, number[][][]> = {}
const near: Record<string, number[]> = {}
const start: number[][][] = []
const { consented } = await readInputs(first)
if (consented === undefined) throw new Error('expected consented texts')
const heldOut = await embedConsented(consented, embedder, { maxTextsPerClient: 8 })
const texts = {
  rows: heldOut.clients.reduce((sum, client) => sum + client.rows, 0),
  dim: embedder.identity.dim,
  values: Float32Array.from(heldOut.clients.flatMap((client) => [...client.values])),
}
log(`embedded ${texts.rows} held-out texts`)

for (const seed of SEEDS) {
  const loaded = await opened(seed)
  const { config } = loaded
  const inputs = await readInputs(loaded)
  if (inputs.clients === undefined) throw new Error('expected private texts')
  const clients = await embedClients(inputs.clients, embedder, {
    maxTextsPerClient: config.histogram.maxTextsPerClient,
    onEvent: () => {},
  })
  const bound = voteBound(voteOptions(config))
  const population = initialFromPublic(
    inputs.publicTexts.filter((text) => text.split(/\s+/).length <= config.evolution.variation.maxWords),
    POPULATION,
    UNLABELLED,
    seededRandom(seed),
  )
  start.push(await nearestDistances(heldOut, await embed(population)))
  await Promise.all(
    CELLS.map(async (cell) => {
      const { mechanism } = planNoise({ ...config, privacy: { ...config.privacy, epsilon: cell.epsilon } })
      const used = new Map<string, number>()
      let current: Population = population
      for (let t = 1; t <= ROUNDS; t++) {
        const result = await round(
          t,
          current,
          {
            lookahead: embed,
            async votes(candidates, embeddings) {
              const neighbours = await createNeighbours(embeddings, {
                distance: 'cosine',
                seed: 0,
                backend: 'exact',
              })
              const positions = candidates.map((_, i) => i)
              const indexes = new Map([[0, { neighbours, positions }]])
              const votes = await clients.countVotes(indexes, candidates.length, voteOptions(config), bound)
              await neighbours.dispose()
              return addNoise(votes, mechanism, 1, systemRandom())
            },
            vary: (parents) =>
              Promise.all(
                parents.map(async (parent) => {
                  const k = used.get(parent.text) ?? 0
                  used.set(parent.text, k + 1)
                  return { ...parent, text: await childOf(parent, k), born: t, origin: 'few-shot' }
                }),
              ),
          },
          {
            survivors: { threshold: { topShare: cell.share }, by: 'resample', keepParents: 0.5 },
            labels: UNLABELLED,
            nextSize: POPULATION,
            random: seededRandom(seed, nameOf(cell)),
          },
        )
        current = result.next
        log(
          `seed ${seed}, epsilon ${cell.epsilon}, share ${cell.share}: round ${t}; ${asked} variations asked for`,
        )
      }
      const last = await embed(current)
      cover[nameOf(cell)] = [...(cover[nameOf(cell)] ?? []), await nearestDistances(heldOut, last)]
      const own = (await nearestDistances({ clients: [last] }, texts)).flat()
      near[nameOf(cell)] = [...(near[nameOf(cell)] ?? []), own.reduce((a, b) => a + b, 0) / own.length]
    }),
  )
}
await models.dispose()

const overSeeds = (values: readonly number[][][]): number[][] =>
  (values[0] as number[][]).map((own, c) =>
    own.map(
      (_, i) => values.reduce((sum, of) => sum + ((of[c] as number[])[i] as number), 0) / values.length,
    ),
  )
const interval = (values: number[][]) => {
  const { mean, low, high } = clusterBootstrap(values, seededRandom(0, 'thresholds'))
  return `${mean.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`
}
const percent = (share: number) => `${(100 * share).toFixed(1)}%`
console.log(`start: ${interval(overSeeds(start))}, ${SEEDS.length} seeds, ${texts.rows} held-out texts\n`)
console.log(
  `| epsilon | survivors | distance | by seed | less than at ${percent(0.5)} | candidates to held-out |`,
)
console.log('| --- | --- | --- | --- | --- | --- |')
for (const cell of CELLS) {
  const own = cover[nameOf(cell)] as number[][][]
  const widest = cover[nameOf({ ...cell, share: 0.5 })] as number[][][]
  const a = overSeeds(own)
  const b = overSeeds(widest)
  const less = a.map((values, c) => values.map((d, i) => ((b[c] as number[])[i] as number) - d))
  const bySeed = own.map((of) => clusterBootstrap(of, seededRandom(0)).mean.toFixed(3)).join(' ')
  const own2 = near[nameOf(cell)] as number[]
  const mean = own2.reduce((x, y) => x + y, 0) / own2.length
  console.log(
    `| ${cell.epsilon} | ${percent(cell.share)} | ${interval(a)} | ${bySeed} | ${interval(less)} | ${mean.toFixed(3)} |`,
  )
}
log(`done; ${asked} variations asked for, the others were known`)
