// What an attacker who knows every client but one computes from the releases. `votes` is the likelihood ratio of the honest
// path (a sum over rounds, since Gaussian log-likelihood ratios are linear); the others cancel noise that is shared where it
// must not be: between candidates or, since the client changes its candidates from round to round, between rounds; and
// between releases. Which of them is used is decided on one half of the trials, and the answer given by the other half.
import type { Adjacency } from '../privacy/units.ts'
import type { Step } from './noise-path.ts'

export const ATTACKS = {
  votes: 'the noisy votes of the candidates that the client votes for, summed over rounds',
  candidates: 'the same, less the noisy votes of other candidates in the same releases',
  releases: 'the same, less the noisy votes of the same candidates in a release of known votes',
} as const

export type AttackName = keyof typeof ATTACKS

/** Values of one statistic over independent trials, in each of the two worlds. */
export interface Trials {
  readonly with: Float64Array
  readonly without: Float64Array
}

const minus = (a: Float64Array, b: Float64Array, shift = 0): Float64Array =>
  a.map((value, i) => value - (b[i] as number) + shift)

/** `shift`: what the worst-case client adds to its cell over all rounds. */
export function attack(
  name: AttackName,
  steps: readonly Step[],
  adjacency: Adjacency,
  shift: number,
): Trials {
  const all = (values: (step: Step) => readonly Float64Array[]) => joined(steps.flatMap(values))
  const contrast: Trials = {
    with: all((s) => [minus(s.with.hit, s.with.other)]),
    without: all((s) => [minus(s.without.hit, s.without.other)]),
  }
  switch (name) {
    case 'votes':
      if (adjacency === 'substitution') return contrast
      return {
        with: all((s) => [s.with.hit]),
        // Cells that nobody in question votes for are distributed alike in both worlds.
        without: all((s) => [s.without.hit, s.without.other, s.with.other]),
      }
    case 'candidates':
      return contrast
    case 'releases':
      return {
        with: all((s) => [minus(s.with.hit, s.without.hit)]),
        // Under substitution the release of known votes has the client in its other cell.
        without: all((s) => [minus(s.with.other, s.without.other, adjacency === 'substitution' ? shift : 0)]),
      }
  }
}

/** The attacks that tell something of their own: under substitution the first two are one. */
export function attacksFor(adjacency: Adjacency): AttackName[] {
  return adjacency === 'add-remove' ? ['votes', 'candidates', 'releases'] : ['votes', 'releases']
}

function joined(parts: readonly Float64Array[]): Float64Array {
  const out = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}
