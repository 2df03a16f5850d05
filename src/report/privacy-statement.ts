// The privacy statement in words: one source for the report and for the dataset card, so that both always say the same.
import type { RunReport } from './data.ts'
import { counted, decimal, deltaText, epsilonText, noiseText } from './figures.ts'

export interface PrivacyFact {
  readonly term: string
  readonly value: string
  readonly note?: string
}

export interface PrivacyStatement {
  /** Epsilon and delta, or that there is no privacy. */
  readonly headline: string
  readonly sentence: string
  readonly facts: readonly PrivacyFact[]
  readonly notCovered: readonly string[]
}

type Adjacency = RunReport['privacy']['adjacency']

function neighbours(unit: RunReport['privacy']['unit'], adjacency: Adjacency): string {
  const one = unit === 'client' ? 'all the texts of one client' : 'one text'
  return adjacency === 'add-remove' ? `adding or removing ${one}` : `replacing ${one} by anything else`
}

const UNITS = {
  client: 'one client, with all of its texts together',
  record: 'one text (record); somebody with several texts is protected less',
} as const

const AGGREGATION = {
  trusted: {
    value: 'the process that ran the job (trusted aggregation)',
    note: 'It saw every single vote and added the noise; only the noisy sums left it.',
  },
  'two-server': {
    value: 'nobody (two-server aggregation)',
    note: 'Each of two servers saw a share that says nothing alone; this holds as long as they do not join forces.',
  },
} as const

/** What was meant by "simulation", for banners. */
export const SIMULATION_BANNER =
  'Simulation. The texts behind this run were declared free for experiments (data.simulation: true). Its figures say what the method does on such texts; they are no promise about private text, and this output is not to be passed off as protected.'

export function privacyStatement(report: RunReport): PrivacyStatement {
  const { privacy } = report
  const delta = deltaText(privacy.delta)
  const endless = privacy.epsilon === Infinity
  const redrawn =
    privacy.redrawn > 0
      ? `${privacy.redrawn} of them ${privacy.redrawn === 1 ? 'was' : 'were'} lost in a crash and drawn again under the same charge.`
      : undefined
  return {
    headline: endless ? 'ε = ∞: no privacy' : `ε = ${epsilonText(privacy.epsilon)} at δ = ${delta}`,
    sentence: endless
      ? 'The votes were released without enough noise to bound what they tell. Whatever was made from them is as open as the texts themselves.'
      : `Everything that this run released is (${epsilonText(privacy.epsilon)}, ${delta})-differentially private under ${privacy.adjacency} adjacency: ${neighbours(privacy.unit, privacy.adjacency)} changes the probability of any outcome at most by the factor e^${epsilonText(privacy.epsilon)}, plus ${delta}.`,
    facts: [
      { term: 'Unit of privacy', value: UNITS[privacy.unit] },
      {
        term: 'Adjacency',
        value: `${privacy.adjacency}: ${neighbours(privacy.unit, privacy.adjacency)}`,
        note: `The same releases under ${privacy.other.adjacency} adjacency: ε = ${epsilonText(privacy.other.epsilon)} at δ = ${delta}.`,
      },
      {
        term: 'Noise multiplier',
        value: noiseText(privacy.noiseMultiplier),
        note: 'Standard deviation of the noise divided by the L2 sensitivity, in each release.',
      },
      {
        term: 'Vote bound',
        value: `L2 norm at most ${decimal(privacy.l2Bound, 4)} for everything one client sends in a round (${privacy.voteMode} votes)`,
      },
      {
        term: 'Releases',
        value: String(privacy.releases),
        ...(redrawn === undefined ? {} : { note: redrawn }),
      },
      { term: 'Accountant', value: privacy.accountant },
      { term: 'Who saw single votes', ...AGGREGATION[privacy.aggregation] },
      ...(privacy.epsilonOfOneServer === undefined
        ? []
        : [
            {
              term: 'Against one of the two servers',
              value: `ε = ${epsilonText(privacy.epsilonOfOneServer)} at δ = ${delta}`,
              note: 'Each added half of the noise and knows its own half.',
            },
          ]),
      {
        term: 'Data set, all runs',
        value: `ε = ${epsilonText(privacy.dataset.epsilon)} at δ = ${delta}`,
        note: `By its ledger: ${counted(privacy.dataset.releases, 'release')} in ${counted(privacy.dataset.runs, 'run')}, this one included.`,
      },
    ],
    notCovered: privacy.notCovered,
  }
}
