// `npm run results`: evolution on real data against two controls with the same start, population size and rounds: fresh
// noise in place of the votes, and no selection at all. Writes the table into docs/results.md.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { availableParallelism, cpus } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '../src/config/load.ts'
import type { Config } from '../src/config/schema.ts'
import { clusterBootstrap, embedConsented, nearestDistances } from '../src/evaluate/consented-distance.ts'
import { evolve } from '../src/evolution/evolve.ts'
import { initialFromPublic } from '../src/evolution/initial.ts'
import { UNLABELLED } from '../src/evolution/labels.ts'
import type { Population } from '../src/evolution/population.ts'
import type { RoundSteps } from '../src/evolution/round.ts'
import { createVariation } from '../src/evolution/variation/create.ts'
import { voteBound } from '../src/histogram/bound.ts'
import { embedClients } from '../src/histogram/clients.ts'
import { ExactVotes } from '../src/histogram/exact-votes.ts'
import { addNoise } from '../src/histogram/noise.ts'
import { systemRandom } from '../src/privacy/private-random.ts'
import { seededRandom } from '../src/random.ts'
import { readInputs } from '../src/run/inputs.ts'
import { ledgerPath } from '../src/run/ledger-path.ts'
import { localSteps, voteOptions } from '../src/run/local-steps.ts'
import { openModels } from '../src/run/models.ts'
import { planNoise } from '../src/run/noise.ts'

const ROOT = new URL('..', import.meta.url).pathname
const SEEDS = [1, 2, 3]
const ARMS = ['votes', 'noise', 'none'] as const
type Arm = (typeof ARMS)[number]

const loaded = await loadConfig(join(ROOT, 'bench/results.yaml'))
const { config } = loaded
const folder = loaded.path(config.output.folder)
await mkdir(folder, { recursive: true })
const inputs = await readInputs(loaded)
const { consented } = inputs
if (consented === undefined) throw new Error('expected consented texts')
const log = (line: string) => console.error(`${new Date().toISOString().slice(11, 19)} ${line}`)
const models = await openModels(loaded, join(folder, 'llm-cache.jsonl'), {
  onEvent: (event) => (event.type === 'note' || event.type === 'warning' ? log(event.message) : undefined),
})
const { embedder } = models
const { maxTextsPerClient } = config.histogram
const noise = planNoise(config)
const bound = voteBound(voteOptions(config))
const variation = await createVariation(config.evolution.variation, {
  llm: models.llm,
  prompts: undefined,
  maskedModel: models.maskedModel,
})
log('embedding the consented texts')
const heldOut = await embedConsented(consented, embedder, { maxTextsPerClient: 8 })

/** The steps of an arm: controls never look at a private text. */
function stepsOf(arm: Arm, local: RoundSteps): RoundSteps {
  if (arm === 'votes') return local
  return {
    ...local,
    // No votes, only noise of the same size, drawn anew: a release of nothing.
    votes: async (population) =>
      addNoise(new ExactVotes(population.length, bound, true), noise.mechanism, 1, systemRandom()),
  }
}

/** No selection: a random half stays, and the other half is replaced by one variation of each of a random half. */
function survivorsOf(arm: Arm): Config['evolution']['survivors'] {
  return arm === 'none'
    ? { threshold: { topShare: 1 }, by: 'rank', keepParents: 0.5 }
    : config.evolution.survivors
}

async function distances(population: Population): Promise<number[][]> {
  return nearestDistances(heldOut, await embedder.embed(population.map((candidate) => candidate.text)))
}

const { clients } = inputs
if (clients === undefined) throw new Error('expected private texts in the config')
const results: Record<string, Record<Arm, number[][][]>> = {}
for (const seed of SEEDS) {
  const random = seededRandom(seed)
  const start = initialFromPublic(
    inputs.publicTexts.filter((text) => text.split(/\s+/).length <= config.evolution.variation.maxWords),
    config.evolution.population as number,
    UNLABELLED,
    random,
  )
  const perArm = await Promise.all(
    ARMS.map(async (arm) => {
      const armFolder = join(folder, `${arm}-${seed}`)
      const run = `results-${arm}-${seed}`
      const local = localSteps({
        config,
        clients: () => embedClients(clients, embedder, { maxTextsPerClient, onEvent: () => {} }),
        embedder,
        variation,
        labels: UNLABELLED,
        random: random.fork(arm),
        bound,
        mechanism: noise.mechanism,
        ledger: ledgerPath(loaded),
        terms: { dataset: `${config.data.dataset}.simulation`, unit: 'client', adjacency: 'add-remove' },
        run,
        releaseFile: (t) => join(armFolder, `release-${t}.json`),
        onEvent: () => {},
        onRedrawn: (release) => log(`${release} drawn again`),
      })
      const byRound = [await distances(start)]
      await evolve(stepsOf(arm, local), {
        rounds: config.evolution.rounds,
        population: config.evolution.population,
        survivors: survivorsOf(arm),
        labels: UNLABELLED,
        random: random.fork(arm),
        roundFolder: (t) => join(armFolder, String(t)),
        sealed: async () => false,
        initial: async () => start,
        async seal(t, _population, result) {
          byRound.push(await distances(result.next))
          log(`seed ${seed}, ${arm}: round ${t} done`)
        },
      })
      return byRound
    }),
  )
  results[seed] = Object.fromEntries(ARMS.map((arm, i) => [arm, perArm[i]])) as Record<Arm, number[][][]>
}
await models.dispose()

const interval = (values: number[][], name: string) => {
  const { mean, low, high } = clusterBootstrap(values, seededRandom(0, name))
  return `${mean.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`
}
/** Difference of two arms on the same texts, by the bootstrap over the same clients. */
const difference = (a: number[][], b: number[][], name: string) =>
  interval(
    a.map((own, c) => own.map((d, i) => d - ((b[c] as number[])[i] as number))),
    name,
  )
/** Mean over the seeds of each text's distance. */
const overSeeds = (of: (seed: number) => number[][]): number[][] =>
  of(SEEDS[0] as number).map((own, c) =>
    own.map(
      (_, i) => SEEDS.reduce((sum, seed) => sum + ((of(seed)[c] as number[])[i] as number), 0) / SEEDS.length,
    ),
  )
const last = config.evolution.rounds
const at = (seed: number, arm: Arm, t: number) =>
  (results[seed] as Record<Arm, number[][][]>)[arm][t] as number[][]
const table = [
  `| seed | start | votes | fresh noise | no selection | votes - noise | votes - none |`,
  `| --- | --- | --- | --- | --- | --- | --- |`,
  ...[...SEEDS.map(String), 'all'].map((name) => {
    const of = (arm: Arm, t: number) =>
      name === 'all' ? overSeeds((s) => at(s, arm, t)) : at(Number(name), arm, t)
    const [votes, fresh, none] = ARMS.map((arm) => of(arm, last)) as [number[][], number[][], number[][]]
    return `| ${name} | ${interval(of('votes', 0), 'start')} | ${interval(votes, 'votes')} | ${interval(fresh, 'noise')} | ${interval(none, 'none')} | ${difference(votes, fresh, 'vn')} | ${difference(votes, none, 'v0')} |`
  }),
]
const rounds = [
  `| arm | ${Array.from({ length: last + 1 }, (_, t) => (t === 0 ? 'start' : `round ${t}`)).join(' | ')} |`,
  `| --- |${' --- |'.repeat(last + 1)}`,
  ...ARMS.map(
    (arm) =>
      `| ${arm} | ${Array.from({ length: last + 1 }, (_, t) =>
        clusterBootstrap(
          overSeeds((s) => at(s, arm, t)),
          seededRandom(0),
        ).mean.toFixed(3),
      ).join(' | ')} |`,
  ),
]
const machine = `${availableParallelism()} cores (${cpus()[0]?.model ?? 'unknown'}), Node ${process.version}, ${new Date().toISOString().slice(0, 10)}`
const text = `${table.join('\n')}\n\nMean over the seeds by round:\n\n${rounds.join('\n')}\n\nMachine: ${machine}.\n`
console.log(text)
const page = join(ROOT, 'docs/results.md')
const before = await readFile(page, 'utf8')
await writeFile(page, before.replace(/(<!-- results -->\n)[\s\S]*?(<!-- end -->)/, `$1\n${text}\n$2`))
