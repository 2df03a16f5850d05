// From the runs of all arms to the report: means over seeds, intervals, differences from ours, the largest epsilon.
import { availableParallelism, cpus } from 'node:os'
import { type EvaluatedModel, nextTokenFigures } from '../evaluate/next-token.ts'
import { seededRandom } from '../random.ts'
import type { ComparisonMeters, ComparisonReport, ComparisonRow } from '../report/comparison-data.ts'
import { groupsOf } from '../report/comparison-words.ts'
import { VERSION } from '../version.ts'
import { type ArmRun, type ArmRuns, corpusOf } from './arm-runs.ts'
import { differences } from './difference.ts'
import type { Ground } from './ground.ts'

const OURS = 'pretext'

/** What no epsilon of a comparison covers. */
const NOT_COVERED = [
  'tuning: settings were chosen by what they did on the validation clients',
  'seeds: each epsilon is that of one run; several runs over one data set add up',
  'what the starting checkpoint, the language model and the embedder learned before',
  'the table of an arm’s own measures, and the rows in it that other settings trained: figures of the simulation’s texts, without noise',
  'floating-point noise of the trained arms: good for a simulation, not for a release',
]

export function collect(
  ground: Ground,
  runs: readonly ArmRuns[],
  said: { readonly command: string; readonly warnings: readonly string[] },
): ComparisonReport {
  const { config, loaded, split } = ground
  const { privacy, data } = loaded.config
  const modelsOf = ({ arm, runs: own }: ArmRuns): (EvaluatedModel & { path: string })[] =>
    own.flatMap(({ sums, seed }) => {
      if (sums === null) return []
      const path = `seed ${seed}`
      return [arm.onCorpora === true ? { path, sums, corpus: corpusOf(config, seed) } : { path, sums }]
    })
  const rows = runs.map((own): ComparisonRow => {
    const { arm, epsilon } = own
    const random = seededRandom(0, 'compare', arm.name, String(epsilon))
    const models = modelsOf(own)
    const figures =
      models.length === 0
        ? undefined
        : nextTokenFigures(arm.name, models, { resamples: config.resamples, random: random.fork('figures') })
    const ours = runs.find((other) => other.arm.name === OURS && other.epsilon === (epsilon ?? Infinity))
    const spent = own.runs.flatMap((run) => (run.spent === null ? [] : [run.spent.epsilon]))
    const perText = own.runs.flatMap(({ result }) => {
      const value = result.measures.epsilonPerText
      if (value === 'infinite') return [Number.POSITIVE_INFINITY]
      return typeof value === 'number' ? [value] : []
    })
    const first = own.runs[0]
    return {
      arm: arm.name,
      about: arm.about,
      guarantee: arm.guarantee,
      noEpsilon: arm.noEpsilon ?? null,
      asked: epsilon === null ? null : { epsilon },
      spent: spent.length === 0 ? null : { epsilon: Math.max(...spent) },
      perText: perText.length === 0 ? null : { epsilon: Math.max(...perText) },
      settings: own.settings ?? {},
      trials: own.trials,
      grid: own.grid,
      seeds: own.runs.map((run) => run.seed),
      figures: figures?.figures ?? {},
      difference:
        ours === undefined || ours === own
          ? {}
          : differences(models, modelsOf(ours), {
              resamples: config.resamples,
              random: random.fork('difference'),
            }),
      parameters: figures?.parameters ?? null,
      vocabulary: figures?.vocabulary ?? null,
      meters: meanMeters(own.runs),
      validation:
        first === undefined
          ? null
          : {
              loss: mean(own.runs.map(({ result }) => result.validation.loss)),
              accuracy: mean(own.runs.map(({ result }) => result.validation.accuracy)),
            },
      measures: first?.result.measures ?? {},
      seconds: own.runs.reduce((sum, run) => sum + run.seconds, 0),
      failed: own.failed === null ? null : { part: own.failed.part, message: own.failed.message },
    }
  })
  return {
    format: 'pretext-comparison',
    version: 1,
    name: config.name,
    dataset: data.dataset,
    simulation: true,
    clients: split.counts,
    unit: privacy.unit,
    adjacency: privacy.adjacency,
    delta: privacy.delta,
    epsilons: config.epsilons.map((epsilon) => ({ epsilon })),
    seeds: config.seeds,
    corpora: config.corpora,
    trials: config.trials,
    sequenceTokens: config.sequenceTokens,
    resamples: config.resamples,
    groups: groupsOf(rows),
    rows,
    notCovered: NOT_COVERED,
    warnings: [...new Set([...said.warnings, ...own(rows, config.seeds.length)])],
    command: said.command,
    machine: `${availableParallelism()} cores, ${cpus()[0]?.model ?? 'unknown processor'}, device ${config.device}`,
    pretextVersion: VERSION,
    finishedAt: new Date().toISOString(),
  }
}

/** What a reader should know before believing the intervals. */
function own(rows: readonly ComparisonRow[], seeds: number): string[] {
  return [
    ...(seeds < 5
      ? [`${seeds} ${seeds === 1 ? 'seed says' : 'seeds say'} little about the spread of training; use five`]
      : []),
    ...rows.flatMap(({ arm, asked, failed }) =>
      failed === null
        ? []
        : [
            `${arm}${asked === null ? '' : ` at epsilon ${asked.epsilon}`} is not whole: ${failed.part}: ${failed.message}`,
          ],
    ),
  ]
}

function meanMeters(runs: readonly ArmRun[]): ComparisonMeters | null {
  if (runs.length === 0) return null
  const of = (key: keyof ComparisonMeters) => mean(runs.map(({ result }) => result.meters[key]))
  return {
    rounds: of('rounds'),
    participations: of('participations'),
    bytesDownPerClientRound: of('bytesDownPerClientRound'),
    bytesUpPerClientRound: of('bytesUpPerClientRound'),
    clientCpuSecondsPerRound: of('clientCpuSecondsPerRound'),
    clientFlopsPerRound: of('clientFlopsPerRound'),
    serverCpuSeconds: of('serverCpuSeconds'),
    llmTokens: of('llmTokens'),
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
