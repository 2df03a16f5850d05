// `pretext audit`: the deployed noise path run end to end on neighbouring inputs, and what that says of the claimed epsilon.
import { PretextError } from '../errors.ts'
import { ignoreEvents, type OnEvent } from '../events.ts'
import { composedMu, epsilonOf } from '../privacy/accountant.ts'
import { checkDelta } from '../privacy/units.ts'
import { type AttackName, attack, attacksFor, type Trials } from './attacks.ts'
import { expectedBound } from './floor.ts'
import { bestTest, contradiction, epsilonBound, evaluate, type Found, muBound } from './lower-bound.ts'
import { type NoisePath, pathRunner, type Setting, type Step } from './noise-path.ts'
import { pathSeenBy } from './two-server-path.ts'
import type { View } from './views.ts'

export interface AuditOptions extends Setting {
  readonly delta: number
  /** Noise draws, over both worlds and all rounds. */
  readonly samples: number
  /** Probability with which each bound holds. */
  readonly confidence?: number
  /** Whose eyes the noise is seen with; by default of whoever sees the release of trusted aggregation. */
  readonly view?: View
  /** Tests put a planted fault here. */
  readonly path?: NoisePath
  readonly onEvent?: OnEvent
  readonly signal?: AbortSignal
}

export type Verdict =
  /** Nothing contradicts the claim, and a fault would have been seen. */
  | 'pass'
  /** A bound lies above the claim: the path is less private than it says. */
  | 'above-claim'
  /** The path refused the vote that its own clip made. */
  | 'refused'
  /** The bound is lower than an honest path gives 99 times in 100. */
  | 'below-floor'

export interface NoiseAudit {
  readonly verdict: Verdict
  readonly claim: { readonly epsilon: number; readonly mu: number }
  readonly delta: number
  readonly noiseMultiplier: number
  readonly rounds: number
  readonly adjacency: Setting['adjacency']
  readonly vote: string
  readonly view: View
  readonly confidence: number
  /** Noise draws, and the trials in each world that the answer rests on (the other half of them chose the test). */
  readonly samples: number
  readonly trials: { readonly with: number; readonly without: number }
  /** Releases that were charged to the ledger in memory. */
  readonly releases: number
  readonly floor: number
  /** The bound that an honest path gives on average. */
  readonly typical: number
  /** Lower bound of epsilon at delta, for any mechanism; null where the path refused. */
  readonly epsilon: Found | null
  /** Lower bound of mu: the claimed curve of epsilon over delta, tested as a whole. */
  readonly mu: Found | null
  /** Where on that curve the claim breaks, if it does. */
  readonly broken: { readonly delta: number; readonly epsilon: number; readonly claim: number } | null
  readonly seconds: number
}

const FEWEST_SAMPLES = 1000

/** Runs the audit. Throws PretextError `config` for settings that cannot be audited. */
export async function auditNoise(options: AuditOptions): Promise<NoiseAudit> {
  const { adjacency, rounds, samples, delta, view = 'coordinator', onEvent = ignoreEvents } = options
  const { confidence = 0.999, path = pathSeenBy(view) } = options
  const started = performance.now()
  checkDelta(delta)
  checkPositiveInteger('the number of rounds', rounds)
  checkPositiveInteger('the number of samples', samples)
  if (samples < FEWEST_SAMPLES) {
    throw new PretextError(`expected at least ${FEWEST_SAMPLES} samples, got ${samples}`, {
      code: 'usage',
      hint: 'a million take some seconds and show faults that matter',
    })
  }
  const alpha = 1 - confidence
  const runner = pathRunner(options, path)
  const half = Math.max(1, Math.round(samples / runner.draws / 4))
  const mechanisms = Array.from({ length: rounds }, () => ({
    type: 'gaussian' as const,
    noiseMultiplier: options.noiseMultiplier,
  }))
  const claim = { epsilon: epsilonOf(mechanisms, delta), mu: composedMu(mechanisms) }
  const trialsOf = (steps: readonly Step[], name: AttackName): Trials =>
    attack(name, steps, adjacency, runner.inputs.shift * rounds)

  const label = `releasing to two neighbouring inputs (${rounds} ${rounds === 1 ? 'round' : 'rounds'} each time)`
  onEvent({ type: 'stage', stage: 'audit', label, total: 4 * half * runner.draws, unit: 'draws' })
  const steps: Step[] = []
  let refused = false
  try {
    for (let i = 0; i < 2 * half; i++) {
      options.signal?.throwIfAborted()
      steps.push(await runner.step())
      onEvent({
        type: 'progress',
        stage: 'audit',
        done: 2 * (i + 1) * runner.draws,
        total: 4 * half * runner.draws,
      })
    }
  } catch (error) {
    // ExactVotes checks every vote again: a clip that lets too much through ends here.
    if (!(error instanceof RangeError)) throw error
    refused = true
  }
  onEvent({ type: 'stage-end', stage: 'audit', label })

  const names = attacksFor(adjacency)
  const first = new Map(names.map((name) => [name, trialsOf(steps.slice(0, half), name)]))
  const second = steps.slice(half)
  const answer = (bound: ReturnType<typeof epsilonBound>): Found => {
    const test = bestTest(first, bound, alpha)
    return evaluate(trialsOf(second, test.attack), test, bound, alpha)
  }
  const epsilon = refused ? null : answer(epsilonBound(delta))
  const mu = refused ? null : answer(muBound)
  const trials = {
    with: half * runner.inputs.pairs,
    without: half * runner.inputs.pairs * (adjacency === 'add-remove' ? 3 : 1),
  }
  const { typical, floor } = expectedBound({
    // Outsiders see two noises of the claimed size.
    mu: view === 'outsiders' ? claim.mu / Math.SQRT2 : claim.mu,
    delta,
    alpha,
    withTrials: trials.with,
    withoutTrials: trials.without,
  })
  const above = epsilon !== null && mu !== null && (epsilon.bound > claim.epsilon || mu.bound > claim.mu)
  return {
    verdict: refused
      ? 'refused'
      : above
        ? 'above-claim'
        : (epsilon?.bound ?? 0) < floor
          ? 'below-floor'
          : 'pass',
    claim,
    delta,
    noiseMultiplier: options.noiseMultiplier,
    rounds,
    adjacency,
    vote: options.vote.mode,
    view,
    confidence,
    samples: 4 * half * runner.draws,
    trials,
    releases: runner.charged.length,
    floor,
    typical,
    epsilon,
    mu,
    broken: (mu === null ? undefined : contradiction(mu, alpha, claim.mu)) ?? null,
    seconds: (performance.now() - started) / 1000,
  }
}

function checkPositiveInteger(what: string, value: number): void {
  if (Number.isInteger(value) && value > 0) return
  throw new PretextError(`${what} must be a positive integer, got ${value}`, { code: 'usage' })
}
