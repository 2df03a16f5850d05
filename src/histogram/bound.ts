// How much one client can move the sum: the L2 bound of each vote mode, on the integer grid on which votes are added.
//
// Why this is private: it is not yet; it is the number that the noise is scaled to. Under add-remove adjacency the sum of the
// votes moves by one client's vote, so its L2 sensitivity is the bound itself; under substitution by the difference of two
// non-negative votes, at most sqrt(2) bounds (privacy/units.ts). Bounding a unit's contribution and adding noise to that
// bound: Dwork, McSherry, Nissim and Smith (TCC 2006); per client: McMahan et al. (ICLR 2018).
import { PretextError } from '../errors.ts'

export type VoteMode =
  /** Votes scaled to L2 norm 1: each client counts alike. */
  | 'normalised'
  /** At most one vote a candidate and at most `maxCandidates` candidates: L2 <= sqrt(maxCandidates). */
  | 'multihot'
  /** The paper's: one vote per text and neighbour, scaled down to `clip` where a client has more. */
  | 'counts'

export interface VoteOptions {
  readonly mode: VoteMode
  /** Most texts of one client that vote in a round. */
  readonly maxTextsPerClient: number
  /** Nearest candidates that each text votes for. */
  readonly neighbours: number
  /** multihot: most candidates a client votes for. */
  readonly maxCandidates?: number
  /** counts: L2 clip in votes; by default what `maxTextsPerClient` texts can reach. */
  readonly clip?: number
}

/** Grid steps of one vote: 2^16 for fractional votes, 1 where votes are bits. */
export const GRID_STEPS = 2 ** 16

export interface VoteBound {
  /** Grid steps in one vote. */
  readonly steps: number
  /** The largest allowed sum of squares of one client's vote, in grid steps. */
  readonly squared: bigint
}

export function voteBound(options: VoteOptions): VoteBound {
  const { mode, maxTextsPerClient, neighbours } = options
  for (const [name, value] of Object.entries({ maxTextsPerClient, neighbours })) {
    if (!(Number.isInteger(value) && value > 0)) {
      throw new PretextError(`histogram.${name} must be a positive integer, got ${value}`, { code: 'config' })
    }
  }
  if (mode === 'multihot') {
    const candidates = options.maxCandidates ?? maxTextsPerClient * neighbours
    return { steps: 1, squared: BigInt(candidates) }
  }
  const grid = BigInt(GRID_STEPS) ** 2n
  if (mode === 'normalised') return { steps: GRID_STEPS, squared: grid }
  // m texts on the same k candidates give m votes on each: squared norm m^2 k.
  const reach = BigInt(maxTextsPerClient) ** 2n * BigInt(neighbours) * grid
  if (options.clip === undefined) return { steps: GRID_STEPS, squared: reach }
  const steps = Math.floor(options.clip * GRID_STEPS)
  if (steps === Number.POSITIVE_INFINITY) return { steps: GRID_STEPS, squared: reach }
  const clipped = BigInt(steps) ** 2n
  if (clipped <= 0n) {
    throw new PretextError(`histogram.clip must be greater than 0, got ${options.clip}`, { code: 'config' })
  }
  return { steps: GRID_STEPS, squared: clipped < reach ? clipped : reach }
}

/** The L2 bound in votes, for people. */
export function boundInVotes(bound: VoteBound): number {
  return Math.sqrt(Number(bound.squared)) / bound.steps
}
