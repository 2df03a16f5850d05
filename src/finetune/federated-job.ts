// The jobs of training on the devices themselves and of training on their pooled texts, all over simulation texts:
// "federated" (DP-FedAvg, DP-FTRL; on Apple's pfl), "central-dp" (DP-SGD on the pooled texts, bounded by client or by text)
// and "local" (every client alone). Defaults are those of PrE-Text's baselines (arXiv 2406.02958, appendix) where it says.
import { z } from 'zod'
import { ARM_INPUTS } from './arm-job.ts'

const count = z.int().min(1)
const positive = z.number().positive()

const ArmLora = z.strictObject({
  rank: count.default(4),
  alpha: positive.default(8),
})

/** All weights, or adapters on every projection. */
const lora = ArmLora.nullable().default(null)

const Server = z.discriminatedUnion('optimiser', [
  z.strictObject({
    optimiser: z.literal('sgd'),
    learningRate: positive.default(1),
    momentum: z.number().min(0).lt(1).default(0.9),
  }),
  z.strictObject({
    optimiser: z.literal('adam'),
    learningRate: positive.default(1e-3),
    beta1: z.number().min(0).lt(1).default(0.9),
    beta2: z.number().min(0).lt(1).default(0.99),
    /** FedAdam's tau. */
    epsilon: positive.default(1e-3),
  }),
])

const Clip = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('none') }),
  z.strictObject({ kind: z.literal('fixed'), bound: positive }),
  /** Follows a quantile of the updates' norms, which costs noise of its own out of the same budget (arXiv 1905.03871). */
  z.strictObject({
    kind: z.literal('adaptive'),
    initial: positive,
    quantile: z.number().gt(0).lt(1).default(0.5),
    /** Standard deviation of the noise on the number of clients below the bound; null: a twentieth of the cohort. */
    quantileNoise: positive.nullable().default(null),
    stepSize: positive.default(0.2),
  }),
])

export const FederatedJob = z.strictObject({
  kind: z.literal('federated'),
  ...ARM_INPUTS,
  rounds: count.default(20),
  /**
   * all: every client in every round; poisson: each with probability cohort / clients; fixed: that many without replacement;
   * cycle: every client once in (clients / cohort) rounds, always in the same of them, which it draws by itself; for correlated
   * noise.
   */
  sampling: z.enum(['all', 'poisson', 'fixed', 'cycle']).default('all'),
  /** Clients of one round; null: all. */
  cohort: count.nullable().default(null),
  /** Of a cycle, in rounds; null: clients / cohort, rounded. What one client more or less must not change. */
  period: count.nullable().default(null),
  client: z
    .strictObject({
      learningRate: positive.default(0.1),
      epochs: count.default(1),
      /** Steps of an epoch, at most; null: all its batches. */
      steps: count.nullable().default(null),
      /** Texts of one step; null: all of the client's. */
      batch: count.nullable().default(4),
      /** Each step's gradient is scaled down to this L2 norm (for learning, not for privacy). */
      gradientNorm: positive.nullable().default(null),
      /** Texts of one client that are used, at most; null: all. */
      texts: count.nullable().default(null),
    })
    .prefault({}),
  server: Server.prefault({ optimiser: 'sgd' }),
  clip: Clip,
  /** independent: DP-FedAvg; banded: DP-FTRL by banded matrix factorisation; tree: DP-FTRL by trees, restarted each cycle. */
  noise: z.enum(['independent', 'banded', 'tree']).default('independent'),
  /**
   * Standard deviation of the noise on the sum, divided by its L2 sensitivity when one client is added or removed: by the clip
   * for independent noise, by clip x the sensitivity of the whole matrix mechanism for correlated noise. 0: none.
   */
  noiseMultiplier: z.number().min(0),
  lora,
  /** The model that is kept: of the last round, or of the best one on the validation clients. */
  keep: z.enum(['last', 'best']).default('last'),
  /** Rounds between looks at the validation clients; null: before and after all. */
  validateRounds: count.nullable().default(null),
  checkpointRounds: count.default(10),
  /** pfl's distributed simulation: clients are shared among them. */
  processes: z.union([z.literal('auto'), count]).default(1),
})

export const CentralDpJob = z.strictObject({
  kind: z.literal('central-dp'),
  ...ARM_INPUTS,
  /**
   * client: the mean gradient over a client's texts is bounded; text: each text's (Opacus), and a client is protected as a
   * group of `texts` of them.
   */
  unit: z.enum(['client', 'text']).default('client'),
  steps: count.default(100),
  /** Clients, or texts, behind one step (expected: Poisson sampling); null: all. */
  batch: count.nullable().default(null),
  /** Texts of one client that are used, at most; null: all (unit client), needed for unit text. */
  texts: count.nullable().default(null),
  optimiser: z.enum(['sgd', 'adam']).default('adam'),
  learningRate: positive.default(1e-3),
  momentum: z.number().min(0).lt(1).default(0.9),
  /** null: none, which only noise 0 allows. */
  clip: positive.nullable(),
  noiseMultiplier: z.number().min(0),
  lora,
  keep: z.enum(['last', 'best']).default('last'),
  validateSteps: count.nullable().default(null),
  checkpointSteps: count.default(50),
})

export const LocalJob = z.strictObject({
  kind: z.literal('local'),
  ...ARM_INPUTS,
  /** Clients drawn to train, each alone; null: all that have two texts or more. */
  sample: count.nullable().default(null),
  /** Share of a client's texts that its own model is measured on; at least one text. */
  heldOut: z.number().gt(0).lt(1).default(0.25),
  epochs: count.default(3),
  learningRate: positive.default(0.1),
  batch: count.nullable().default(4),
  lora,
  /** Local models that are written and measured on the validation clients. */
  models: count.default(5),
})
