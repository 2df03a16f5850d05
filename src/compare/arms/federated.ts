// Training on the devices: DP-FedAvg (independent noise, arXiv 1710.06963) and DP-FTRL (correlated noise: banded matrix
// factorisation, arXiv 2306.08153, or the paper's trees), both on Apple's pfl. Their defaults are what won in a trial with a
// model of 14 million parameters; the grid lies around them.
import { z } from 'zod'
import { PretextError } from '../../errors.ts'
import type { ArmMechanism, ArmResult } from '../../finetune/arm-job.ts'
import { type Arm, type ArmTask, defineArm } from '../arm.ts'
import { calibrateMechanisms } from '../epsilon.ts'

const count = z.int().min(1)
const positive = z.number().positive()

const SHARED = {
  rounds: count.default(10),
  clientLearningRate: positive.default(0.3),
  /** Passes of a client over its texts in one round. */
  clientEpochs: count.default(1),
  /** Steps of a client in one round, at most, where it passes over its texts once; null: all batches of its epochs. */
  clientSteps: count.nullable().default(2),
  clientBatch: count.default(8),
  /** Each step's gradient is scaled down to this L2 norm (for learning, not for privacy); null: it is not. */
  gradientNorm: positive.nullable().default(1),
  /** Texts of one client that it learns from, at most; null: all. */
  texts: count.nullable().default(null),
  server: z.enum(['sgd', 'adam']).default('sgd'),
  serverLearningRate: positive.default(1),
  momentum: z.number().min(0).lt(1).default(0.9),
  /** L2 bound of one client's update; null: none, which only a run without noise may have. */
  clip: positive.nullable().default(0.1),
  /** LoRA of this rank instead of all weights; null: all weights. */
  loraRank: count.nullable().default(null),
} as const

const STEPS_OR_EPOCHS = [
  ({ clientSteps, clientEpochs }: { clientSteps: number | null; clientEpochs: number }) =>
    clientSteps === null || clientEpochs === 1,
  {
    path: ['clientSteps'],
    message: 'expected null with more than one of clientEpochs: steps are those of one pass at most',
  },
] satisfies Parameters<z.ZodType<{ clientSteps: number | null; clientEpochs: number }>['refine']>

const FedAvg = z
  .strictObject({
    ...SHARED,
    /** Share of the clients in a round; 1: all of them. */
    rate: z.number().gt(0).max(1).default(1),
    /** The clip follows the median of the updates' norms, which costs noise of its own. */
    adaptiveClip: z.boolean().default(false),
  })
  .refine(...STEPS_OR_EPOCHS)

const Ftrl = z
  .strictObject({
    ...SHARED,
    rounds: count.default(20),
    /** Rounds until a client takes part again; with 1, correlated noise has nothing to offer. */
    period: count.default(4),
    /** banded: matrix factorisation; tree: the paper's, restarted after each period. */
    noise: z.enum(['banded', 'tree']).default('banded'),
  })
  .refine(...STEPS_OR_EPOCHS)

// Where every update is longer than its bound, a smaller bound with a larger rate of the server is the same training.
const GRID = {
  serverLearningRate: [0.3, 1, 3, 10, 30],
  clientLearningRate: [0.1, 0.3],
} as const

export const dpFedAvg: Arm = defineArm({
  name: 'dp-fedavg',
  about: 'clients train on their devices; the mean of their clipped updates is noised (DP-FedAvg)',
  guarantee: 'client',
  epsilons: 'each',
  settings: FedAvg,
  grid: GRID,
  run(task, settings) {
    const { rounds, rate, clip, adaptiveClip } = settings
    const cohort = rate === 1 ? null : Math.max(1, Math.round(rate * task.clients))
    // What each adjacency has a theorem for.
    const sampling = cohort === null ? 'all' : task.inputs.adjacency === 'add-remove' ? 'poisson' : 'fixed'
    const noiseMultiplier = noiseFor(task, (noise) => ({
      sigma: noise,
      clip: 1,
      releases: rounds,
      cohort: cohort ?? task.clients,
      clients: task.clients,
      sampling,
      contributions: 'signed',
      maxParticipations: rounds,
    }))
    const unbounded = task.epsilon === Number.POSITIVE_INFINITY
    return task.runJob<'federated'>({
      ...jobOf(task, settings),
      sampling,
      cohort,
      clip: boundOf(task, clip, adaptiveClip && !unbounded),
      noise: 'independent',
      noiseMultiplier,
    })
  },
})

export const dpFtrl: Arm = defineArm({
  name: 'dp-ftrl',
  about: 'clients train on their devices; noise is correlated over the rounds, so that it cancels (DP-FTRL)',
  guarantee: 'client',
  epsilons: 'each',
  settings: Ftrl,
  grid: GRID,
  run(task, settings): Promise<ArmResult> {
    const { rounds, period, clip, noise } = settings
    const noiseMultiplier = noiseFor(task, (sigma) => ({
      sigma,
      clip: 1,
      releases: rounds,
      cohort: task.clients / period,
      clients: task.clients,
      sampling: 'fixed',
      contributions: 'signed',
      maxParticipations: Math.ceil(rounds / period),
      // The job multiplies by the sensitivity of the matrix that it makes.
      matrix: { sensitivity: 1 },
    }))
    return task.runJob<'federated'>({
      ...jobOf(task, settings),
      sampling: 'cycle',
      cohort: Math.max(1, Math.round(task.clients / period)),
      period,
      clip: boundOf(task, clip, false),
      // Without a bound there is nothing that noise could be correlated for.
      noise: clip === null ? 'independent' : noise,
      noiseMultiplier,
    })
  },
})

function boundOf(task: ArmTask, clip: number | null, adaptive: boolean) {
  if (clip !== null) {
    return adaptive ? { kind: 'adaptive' as const, initial: clip } : { kind: 'fixed' as const, bound: clip }
  }
  if (task.epsilon === Number.POSITIVE_INFINITY) return { kind: 'none' as const }
  throw new PretextError(`clip: expected an L2 bound at epsilon ${task.epsilon}, got null`, {
    code: 'config',
    hint: 'only a run without noise (epsilon Infinity) may have unbounded updates',
  })
}

function noiseFor(task: ArmTask, mechanism: (noise: number) => ArmMechanism): number {
  if (task.epsilon === Number.POSITIVE_INFINITY) return 0
  return calibrateMechanisms(task.epsilon, task.inputs, (noise) => [mechanism(noise)])
}

type Shared = z.output<z.ZodObject<typeof SHARED>>

function jobOf({ inputs }: ArmTask, settings: Shared) {
  const { rounds, clientLearningRate, clientEpochs, clientSteps, clientBatch, gradientNorm } = settings
  const { server, serverLearningRate, momentum, texts, loraRank } = settings
  return {
    kind: 'federated' as const,
    ...inputs,
    rounds,
    client: {
      learningRate: clientLearningRate,
      epochs: clientEpochs,
      steps: clientSteps,
      batch: clientBatch,
      gradientNorm,
      texts,
    },
    server:
      server === 'sgd'
        ? { optimiser: 'sgd' as const, learningRate: serverLearningRate, momentum }
        : { optimiser: 'adam' as const, learningRate: serverLearningRate, beta1: momentum },
    lora: loraRank === null ? null : { rank: loraRank, alpha: 2 * loraRank },
    // One for each GPU that is there.
    processes: 'auto' as const,
  }
}
