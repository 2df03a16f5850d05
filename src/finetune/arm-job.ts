// What every arm of a comparison that the trainer runs is given, and what it answers: the same inputs for all, and a result
// that says what the run really did. Arms run over simulation texts alone; whoever starts the job has checked that.
import { z } from 'zod'

const count = z.int().min(1)
const amount = z.number().min(0)

/** The inputs of every arm, to be spread into the strict object of its job. */
export const ARM_INPUTS = {
  /** Folder of the result; an unfinished one goes on with `resume`. */
  out: z.string(),
  resume: z.boolean().default(false),
  /** JSON lines, {"client": ..., "text": ...} each: the clients that the arm learns from (simulation texts). */
  clients: z.string(),
  /** The same, of clients that no arm trains on and that are not the evaluation clients: for choosing settings. */
  validation: z.string(),
  /** Folder with config.json, weights and tokenizer: where every arm starts. */
  start: z.string(),
  sequenceTokens: z.int().min(8).default(64),
  seed: z.int().min(0).default(0),
  delta: z.number().gt(0).lt(1),
  adjacency: z.enum(['add-remove', 'substitution']).default('add-remove'),
  device: z.enum(['auto', 'cpu']).default('auto'),
  threads: count.nullable().default(null),
} as const

/** The same as an object. */
export const ArmInputs = z.strictObject(ARM_INPUTS)
export type ArmInputs = z.input<typeof ArmInputs>

/**
 * Noise that was added to a sum of bounded contributions, read back from the objects of the run and never from its
 * settings. Releases with one noise multiplier are one entry; of its releases it names the least noise and the largest bound.
 */
export const ArmMechanism = z.strictObject({
  /** Standard deviation of the noise on each coordinate of the SUM (with `matrix`: of the noise before it is correlated). */
  sigma: amount,
  /** L2 bound that one contribution was held to; null: none was. */
  clip: z.number().positive().nullable(),
  /** Noised sums. */
  releases: count,
  /** Contributions behind one release; with Poisson sampling the number that was expected. */
  cohort: z.number().positive(),
  /** Clients that could have been drawn. */
  clients: count,
  sampling: z.enum(['all', 'poisson', 'fixed']),
  /** Under substitution, two signed contributions may lie twice the bound apart, non-negative ones sqrt(2) times. */
  contributions: z.enum(['signed', 'non-negative']),
  /** Releases that one client took part in, at most. */
  maxParticipations: z.int().min(0),
  /** Contributions that were really drawn, release by release. */
  drawn: z.array(z.int().min(0)).optional(),
  /**
   * Correlated noise (DP-FTRL): all releases are ONE Gaussian mechanism with L2 sensitivity clip x sensitivity, every client
   * counted as often as it may take part. Nothing is amplified by sampling.
   */
  matrix: z.strictObject({ sensitivity: z.number().positive() }).optional(),
  /**
   * Each client noised its own message, which is its own release (`cohort` 1): neighbours differ by one message in place of
   * another under every adjacency, since that a client sent one is seen.
   */
  local: z.boolean().optional(),
  /** Entries of one name were released together, on the same draw of clients: one mechanism with joint sensitivity. */
  together: z.string().optional(),
  /** Whose contribution is bounded, where it is not a client's: then a client counts as `textsPerClient` of them. */
  unit: z.enum(['client', 'text']).optional(),
  textsPerClient: count.optional(),
  note: z.string().optional(),
})
export type ArmMechanism = z.infer<typeof ArmMechanism>

/** What it cost: the same for every arm, all of it measured on what was really sent and really computed. */
export const ArmMeters = z.strictObject({
  rounds: z.int().min(0),
  /** Client-rounds over the whole run. */
  participations: z.int().min(0),
  /** Mean size of the serialised messages. */
  bytesDownPerClientRound: amount,
  bytesUpPerClientRound: amount,
  /** Mean process time of a client's own work in one round. */
  clientCpuSecondsPerRound: amount,
  /** By torch.utils.flop_counter over a client's real steps. */
  clientFlopsPerRound: amount,
  serverCpuSeconds: amount,
  llmTokens: z.int().min(0),
})
export type ArmMeters = z.infer<typeof ArmMeters>

const Cell = z.union([z.number(), z.string(), z.boolean(), z.null()])

export const ArmResult = z.strictObject({
  /** Folder for the job `evaluate-model`; null where the arm leaves no single model. */
  model: z.string().nullable(),
  mechanisms: z.array(ArmMechanism),
  meters: ArmMeters,
  /** On the validation clients; cross-entropy in nats per token, share of tokens told right. */
  validation: z.strictObject({ loss: z.number(), accuracy: z.number(), tokens: z.int().min(0) }),
  /** Figures and tables (arrays of rows) of this arm alone. */
  measures: z.record(z.string(), z.union([Cell, z.array(z.record(z.string(), Cell))])),
})
export type ArmResult = z.infer<typeof ArmResult>
