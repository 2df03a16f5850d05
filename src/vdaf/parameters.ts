// What fixes an instance of Prio3 (VDAF draft, section 7.2): all parties must hold the same.
import type { Circuit } from './circuit.ts'

export const NONCE_SIZE = 16

export interface Parameters<Measurement = never, Result = unknown> {
  /** The algorithm's identifier (section 10). */
  readonly id: number
  readonly circuit: Circuit<Measurement, Result>
  /** Aggregators, 2 to 255. */
  readonly shares: number
  /** Proofs, 1 to 255. */
  readonly proofs: number
}
