// The round manifest: everything that a client must know, and can refuse, before it votes. A round is named by the sha256
// of its manifest's bytes, so that whoever votes in a round has agreed to every field of it.
import * as z from 'zod/mini'
import { PretextError } from '../../errors.ts'
import type { NoiseOfEach } from '../../privacy/two-parties.ts'
import { fromUtf8, sha256Hex, utf8 } from './bytes.ts'

/** First line of everything that is signed, and the `protocol` of every document. */
export const PROTOCOL = 'pretext-federation/2'

const positive = z.int().check(z.positive())
export const Sha256 = z.string().check(z.regex(/^[0-9a-f]{64}$/))
export const TaskId = z.string().check(z.regex(/^[0-9a-f]{32}$/))
/** Milliseconds since 1970, UTC. */
export const Time = z.int().check(z.nonnegative())

export const EmbedderSchema = z
  .strictObject({
    kind: z.string(),
    model: z.string(),
    sha256: z.string(),
    dtype: z.string(),
    pooling: z.string(),
    normalised: z.boolean(),
    dim: positive,
  })
  .check(z.describe('All clients embed with this model, so that they vote in one space'))

const VoteSchema = z
  .strictObject({
    mode: z.enum(['normalised', 'multihot', 'counts']),
    neighbours: positive.check(z.describe('Nearest candidates that each text votes for')),
    maxTextsPerClient: positive,
    maxCandidates: z.nullable(positive),
    clip: z.nullable(z.number().check(z.positive())),
    distance: z.enum(['l2', 'cosine']),
    gridSteps: positive.check(z.describe('Integer steps of one vote')),
    boundSquared: z
      .string()
      .check(z.regex(/^[1-9]\d{0,38}$/), z.describe('Largest sum of squares of one vote, in grid steps')),
  })
  .check(z.describe('How a vote is made and bounded'))

const NoiseSchema = z
  .strictObject({
    noiseMultiplier: z.number().check(z.positive()),
    unit: z.literal('client'),
    adjacency: z.enum(['add-remove', 'substitution']),
    delta: z.number().check(z.gt(0), z.lt(1)),
  })
  .check(z.describe('Noise that is added to the sum before anybody sees it; sigma / L2 sensitivity'))

const CohortSchema = z
  .strictObject({
    minimum: positive.check(z.describe('Below it the round is refused and nothing is released')),
    target: z.nullable(positive).check(z.describe('The round closes when so many have voted')),
    seats: z.nullable(positive).check(z.describe('So many may vote: the target, over-selected')),
  })
  .check(z.describe('How many clients take part'))

const Identity = z
  .string()
  .check(z.regex(/^ptx1_[\w-]{91}$/), z.describe('Keys of an aggregator, as its operator prints them'))

export const AggregationSchema = z
  .discriminatedUnion('mode', [
    z.strictObject({ mode: z.literal('trusted') }),
    z.strictObject({
      mode: z.literal('two-server'),
      leader: Identity,
      helper: Identity,
      multiproof: z.boolean().check(z.describe('Three proofs over Field64 in place of one over Field128')),
      noise: z
        .enum(['full', 'half'])
        .check(
          z.describe(
            'What each of the two adds: all of the noise, or half of its variance, which hides less from the two themselves',
          ),
        ),
    }),
  ])
  .check(z.describe('trusted: the coordinator sees each vote; two-server: nobody does'))

export const ManifestSchema = z.strictObject({
  protocol: z.literal(PROTOCOL),
  task: TaskId,
  run: TaskId.check(z.describe('Names the run, and not what the coordinator calls it')),
  round: positive,
  rounds: positive,
  attempt: positive.check(z.describe('Counts from 1; a refused round is opened again as another attempt')),
  opened: Time,
  deadline: Time.check(z.describe('No vote is counted after it')),
  embedder: EmbedderSchema,
  embedderHash: Sha256.check(z.describe('sha256 of the embedder identity in canonical JSON')),
  candidates: z.strictObject({
    sha256: Sha256,
    count: positive,
    dim: positive,
    encoding: z.enum(['int8', 'float16']),
  }),
  labels: z
    .nullable(
      z.strictObject({
        names: z.array(z.string()).check(z.minLength(1), z.maxLength(65_535)),
        of: z.array(z.int().check(z.nonnegative())).check(z.describe('Label of each candidate')),
      }),
    )
    .check(z.describe('A text votes among the candidates of its own label')),
  texts: z.strictObject({ minWords: positive, maxWords: positive }),
  vote: VoteSchema,
  noise: NoiseSchema,
  cohort: CohortSchema,
  aggregation: AggregationSchema,
})

export type Manifest = z.output<typeof ManifestSchema>
export type EmbedderFields = z.output<typeof EmbedderSchema>

/** How much of the noise each aggregator adds. */
export function noiseOfEach({ aggregation }: Pick<Manifest, 'aggregation'>): NoiseOfEach {
  return aggregation.mode === 'two-server' ? aggregation.noise : 'full'
}

/** The bytes that are served, stored and hashed. */
export function manifestBytes(manifest: Manifest): Uint8Array {
  return utf8(JSON.stringify(manifest))
}

export function manifestHash(manifest: Manifest): string {
  return sha256Hex(manifestBytes(manifest))
}

/** The manifest in these bytes. Throws PretextError `data` where they are none, or not those of `hash`. */
export function parseManifest(bytes: Uint8Array, hash?: string): Manifest {
  const expected = 'expected a round manifest'
  if (hash !== undefined && sha256Hex(bytes) !== hash)
    throw broken(`${expected} with sha256 ${hash}, got other bytes`)
  let parsed: unknown
  try {
    parsed = JSON.parse(fromUtf8(bytes))
  } catch {
    throw broken(`${expected}, got bytes that are not JSON`)
  }
  const result = ManifestSchema.safeParse(parsed)
  if (!result.success) {
    const at = result.error.issues[0]?.path.join('.') ?? ''
    const { protocol } = (parsed ?? {}) as { readonly protocol?: unknown }
    if (at === 'protocol' && typeof protocol === 'string' && /^pretext-federation\/\d{1,6}$/.test(protocol)) {
      throw new PretextError(`${expected} of ${PROTOCOL}, got one of ${protocol}`, {
        code: 'data',
        hint: 'end the run with the version of pretext that began the round, or start a new run',
      })
    }
    throw broken(`${expected} of ${PROTOCOL}, got one whose ${at === '' ? 'form' : at} is not`)
  }
  return checkedManifest(result.data)
}

/** Fields that must agree with each other. */
function checkedManifest(manifest: Manifest): Manifest {
  const { candidates, labels, cohort, opened, deadline, embedder, embedderHash, aggregation, vote } = manifest
  if (embedderIdentityHash(embedder) !== embedderHash)
    throw broken('expected embedderHash to be that of embedder')
  if (embedder.dim !== candidates.dim) throw broken('expected candidates of the embedder’s dimension')
  if (labels !== null) {
    const { names, of } = labels
    if (of.length !== candidates.count || of.some((label) => label >= names.length))
      throw broken('expected one label of the list for each candidate')
  }
  if (aggregation.mode === 'two-server') {
    if (vote.mode !== 'multihot') throw broken('expected multihot votes, the ones that two servers can prove')
    if (aggregation.leader === aggregation.helper) throw broken('expected two different aggregators')
  }
  if (deadline <= opened) throw broken('expected a deadline after the opening')
  if ((cohort.target === null) !== (cohort.seats === null)) throw broken('expected target and seats together')
  const { minimum, target, seats } = cohort
  if (target !== null && seats !== null && (target < minimum || seats < target))
    throw broken('expected minimum <= target <= seats')
  return manifest
}

/** Two embedders with this hash place a text at the same point. Keys in alphabetical order. */
export function embedderIdentityHash(identity: EmbedderFields): string {
  const { dim, dtype, kind, model, normalised, pooling, sha256 } = identity
  return sha256Hex(utf8(JSON.stringify({ dim, dtype, kind, model, normalised, pooling, sha256 })))
}

function broken(message: string): PretextError {
  return new PretextError(message, {
    code: 'data',
    hint: 'the coordinator runs another version of the protocol, or something on the way changed its answer',
  })
}
