// What the owner of the texts agreed to. A round that asks for more is refused before anything is embedded, and the owner
// is told why. The coordinator's word is not enough for any of it: epsilon is computed here, from the client's own ledger.
import { voteBound } from '../../histogram/bound.ts'
import { epsilonOf } from '../../privacy/accountant.ts'
import type { MechanismEvent } from '../../privacy/events.ts'
import type { Adjacency } from '../../privacy/units.ts'
import type { Manifest } from '../protocol/manifest.ts'
import { voteOptionsOf } from '../protocol/vote-terms.ts'

export interface ClientPolicy {
  /** Most that may be spent from the texts, over all rounds of all tasks in the ledger, at `delta`. */
  readonly epsilon: number
  readonly delta: number
  readonly adjacency: Adjacency
  readonly minimumCohort: number
  readonly aggregation: readonly Manifest['aggregation']['mode'][]
}

export interface Spend {
  readonly before: number
  readonly after: number
}

export function mechanismOf(manifest: Manifest): MechanismEvent {
  return { type: 'gaussian', noiseMultiplier: manifest.noise.noiseMultiplier }
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

/** Why the round must be refused, for people; empty where it is within the policy. */
export function objections(
  manifest: Manifest,
  policy: ClientPolicy,
  own: { readonly task: string; readonly embedderHash: string; readonly spend: Spend },
): string[] {
  const { noise, cohort, aggregation, vote, task, embedderHash, embedder } = manifest
  const bound = voteBound(voteOptionsOf(manifest))
  const found: string[] = []
  const unless = (fine: boolean, reason: string) => {
    if (!fine) found.push(reason)
  }
  unless(task === own.task, 'it belongs to another task than the one that you enrolled in')
  unless(
    embedderHash === own.embedderHash,
    `it asks for the embedder ${embedder.model} (${embedder.dtype}, identity ${embedderHash.slice(0, 12)}), yours is another one (${own.embedderHash.slice(0, 12)})`,
  )
  unless(
    policy.aggregation.includes(aggregation.mode),
    `its aggregation is ${aggregation.mode}; you agreed to ${policy.aggregation.join(', ')}`,
  )
  unless(
    cohort.minimum >= policy.minimumCohort,
    `its minimum cohort is ${cohort.minimum}; you asked for at least ${policy.minimumCohort}`,
  )
  unless(
    noise.adjacency === policy.adjacency,
    `its guarantee is under ${noise.adjacency}; you asked for ${policy.adjacency}`,
  )
  unless(
    noise.delta <= policy.delta,
    `its guarantee is stated at delta ${noise.delta}; you allow ${policy.delta} at most`,
  )
  unless(
    own.spend.after <= policy.epsilon,
    `with it your texts would have spent epsilon ${own.spend.after.toFixed(4)} at delta ${policy.delta}; you allow ${policy.epsilon} (spent so far: ${own.spend.before.toFixed(4)})`,
  )
  unless(
    bound.squared === BigInt(vote.boundSquared) && bound.steps === vote.gridSteps,
    'its bound is not the one that follows from its vote options',
  )
  return found
}
