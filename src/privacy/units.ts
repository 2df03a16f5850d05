// What a privacy guarantee is stated in: unit, adjacency, epsilon, delta. Checked once, at the door.
import { PretextError } from '../errors.ts'

/** Whose presence the guarantee hides: all texts of one client, or one text. */
export type PrivacyUnit = 'client' | 'record'

/**
 * Which data sets count as neighbours: one unit more or less (add-remove), or one unit exchanged for another
 * (substitution).
 */
export type Adjacency = 'add-remove' | 'substitution'

/**
 * L2 sensitivity divided by the L2 bound on one client's vote. Votes are non-negative, so two of them, x and y, have
 * |x - y|^2 = |x|^2 + |y|^2 - 2 x.y <= 2 bound^2: substitution costs sqrt(2), not 2. Signed contributions cost 2.
 */
export function sensitivityFactor(adjacency: Adjacency, contributions: 'non-negative' | 'signed'): number {
  if (adjacency === 'add-remove') return 1
  return contributions === 'non-negative' ? Math.SQRT2 : 2
}

export function checkEpsilon(epsilon: number): number {
  if (!(epsilon > 0)) {
    throw new PretextError(`epsilon must be greater than 0, got ${epsilon}`, {
      code: 'config',
      hint: 'smaller is more private; common values lie between 0.5 and 10',
    })
  }
  return epsilon
}

export function checkDelta(delta: number): number {
  if (!(delta > 0 && delta < 1)) {
    throw new PretextError(`delta must lie strictly between 0 and 1, got ${delta}`, {
      code: 'config',
      hint: 'choose delta well below 1 / (number of clients), and never from the private number of clients itself',
    })
  }
  return delta
}
