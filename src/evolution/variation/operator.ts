// The one interface of every variation operator: PrE-Text's VARIATION, and its neighbours' alternatives.
import type { Random } from '../../random.ts'
import type { Candidate } from '../population.ts'

/** One place in the next population that wants a variation. */
export interface Place {
  readonly parent: Candidate
  /** Other survivors of the same label, in random order: examples for the operators that use them. */
  readonly companions: readonly Candidate[]
  /** A generator for this place, step and attempt alone. */
  readonly random: Random
}

export interface VaryOptions {
  /** How far a variation goes from its parent, 0 to 1: share of masked tokens, of blanks, of the text that is cut. */
  readonly degree: number
  readonly signal?: AbortSignal
  readonly onDone?: () => void
}

export interface VariationOperator {
  readonly name: string
  /** One variation for each place, in order; null where what came was not usable. */
  vary(places: readonly Place[], options: VaryOptions): Promise<(string | null)[]>
}
