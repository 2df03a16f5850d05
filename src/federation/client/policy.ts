// What the owner of the texts agreed to. A round that asks for more is refused before anything is embedded, and the owner
// is told why. The coordinator's word is not enough for any of it: epsilon is computed here, from the client's own ledger.
import { voteBound } from '../../histogram/bound.ts'
import { epsilonOf } from '../../privacy/accountant.ts'
import type { MechanismEvent } from '../../privacy/events.ts'
import { multiplierOfEach } from '../../privacy/two-parties.ts'
import type { Adjacency } from '../../privacy/units.ts'
import { type Manifest, noiseOfEach } from '../protocol/manifest.ts'
import { voteOptionsOf } from '../protocol/vote-terms.ts'

export interface ClientPolicy {
  /** Most that may be spent from the texts, over all rounds of all tasks in the ledger, at `delta`. */
  readonly epsilon: number
  readonly delta: number
  readonly adjacency: Adjacency
  readonly minimumCohort: number
  /** Where only `two-server` is named, a round in which somebody sees the vote is refused. */
  readonly aggregation: readonly Manifest['aggregation']['mode'][]
  /** Identity of the helper, as its operator publishes it; without one, that of the first round is kept to. */
  readonly helper?: string
}

export interface Spend {
  readonly before: number
  readonly after: number
}

/** What a vote costs against whoever sees most of it: with halves, one of the two servers, which knows its own. */
export function mechanismOf(manifest: Manifest): MechanismEvent {
  return {
    type: 'gaussian',
    noiseMultiplier: multiplierOfEach(manifest.noise.noiseMultiplier, noiseOfEach(manifest)),
  }
}

/**
 * What the client's ledger calls a round: attempts at it are one charge, since one of them is released at most. That the
 * refused ones are not is the coordinator's word, as the noise is.
 */
export function releaseOf({ run, round }: Manifest): string {
  return `${run}/round-${round}`
}

/** Epsilon of everything charged so far, and with this round. */
export function spendWith(charged: readonly MechanismEvent[], manifest: Manifest, delta: number): Spend {
  return { before: epsilonOf(charged, delta), after: epsilonOf([...charged, mechanismOf(manifest)], delta) }
}

/** One thing that was held against the policy. */
export interface Check {
  /** For people: what the round says. */
  readonly what: string
  /** Why the round must be refused; absent where the check holds. */
  readonly objection?: string
}

/** The manifest, field by field, held against what the owner agreed to. */
export function checksOf(
  manifest: Manifest,
  policy: ClientPolicy,
  own: {
    readonly task: string
    readonly embedderHash: string
    readonly spend: Spend
    /** The helper of earlier rounds of this task. */
    readonly helper?: string | undefined
    /** `two-server` where the coordinator said so of the task. */
    readonly shown?: Manifest['aggregation']['mode']
  },
): Check[] {
  const { noise, cohort, aggregation, vote, task, embedderHash, embedder } = manifest
  const bound = voteBound(voteOptionsOf(manifest))
  return [
    check(
      'it belongs to the task that you enrolled in',
      task === own.task,
      'it belongs to another task than the one that you enrolled in',
    ),
    check(
      `texts are compared by the model ${embedder.model}`,
      embedderHash === own.embedderHash,
      `it asks for the embedder ${embedder.model} (${embedder.dtype}, identity ${embedderHash.slice(0, 12)}), yours is another one (${own.embedderHash.slice(0, 12)})`,
    ),
    check(
      `votes are added up in ${aggregation.mode} aggregation`,
      policy.aggregation.includes(aggregation.mode),
      `its aggregation is ${aggregation.mode}; you agreed to ${policy.aggregation.join(', ')}`,
    ),
    ...(aggregation.mode === 'two-server'
      ? [helperCheck(aggregation.helper, policy.helper, own.helper)]
      : secondServerGone(policy, own)),
    check(
      `nothing is released with fewer than ${cohort.minimum} clients`,
      cohort.minimum >= policy.minimumCohort,
      `its minimum cohort is ${cohort.minimum}; you asked for at least ${policy.minimumCohort}`,
    ),
    check(
      `its guarantee is under ${noise.adjacency}`,
      noise.adjacency === policy.adjacency,
      `its guarantee is under ${noise.adjacency}; you asked for ${policy.adjacency}`,
    ),
    check(
      `its guarantee is stated at delta ${noise.delta}`,
      noise.delta <= policy.delta,
      `its guarantee is stated at delta ${noise.delta}; you allow ${policy.delta} at most`,
    ),
    check(
      `with it your texts will have spent epsilon ${own.spend.after.toFixed(4)} at delta ${policy.delta}`,
      own.spend.after <= policy.epsilon,
      `with it your texts would have spent epsilon ${own.spend.after.toFixed(4)} at delta ${policy.delta}; you allow ${policy.epsilon} (spent so far: ${own.spend.before.toFixed(4)})`,
    ),
    check(
      'its bound on one vote follows from its vote options',
      bound.squared === BigInt(vote.boundSquared) && bound.steps === vote.gridSteps,
      'its bound is not the one that follows from its vote options',
    ),
  ]
}

/** A coordinator that could name another helper could be both servers, and see the vote. */
function helperCheck(asked: string, named: string | undefined, known: string | undefined): Check {
  const expected = named ?? known
  const who = (identity: string) => `${identity.slice(0, 17)}...`
  const [theirs, own] = [who(asked), expected === undefined ? '' : who(expected)]
  if (named !== undefined)
    return check(
      `the second server is the one that you named (${theirs})`,
      asked === named,
      `its second server is ${theirs}; you named ${own}`,
    )
  return check(
    expected === undefined
      ? `the second server is ${theirs}, which is taken on trust and kept to from now on`
      : `the second server is the one of earlier rounds (${theirs})`,
    expected === undefined || asked === expected,
    `its second server is ${theirs}; it was ${own} before`,
  )
}

/** A task of two servers does not become one in which the coordinator sees votes, unless that alone is agreed to. */
function secondServerGone(
  { aggregation, helper }: ClientPolicy,
  own: { readonly helper?: string | undefined; readonly shown?: string },
): Check[] {
  if (!aggregation.includes('trusted')) return []
  const either = aggregation.includes('two-server')
  const expected =
    helper !== undefined
      ? 'you named a second server'
      : either && own.helper !== undefined
        ? 'earlier rounds of this task had a second server'
        : either && own.shown === 'two-server'
          ? 'the task was shown to you as one of two servers'
          : undefined
  return expected === undefined
    ? []
    : [check('no second server was asked for', false, `the coordinator would see your vote; ${expected}`)]
}

function check(what: string, fine: boolean, objection: string): Check {
  return fine ? { what } : { what, objection }
}
