// What PrE-Text asks of one client in one round, measured by doing it: real manifests, candidates and votes of the federation
// protocol are encoded, and a client's own work (decode, embed, compare, vote) runs as in `pretext join`. A sample of the
// simulated clients does it again after the run; nothing of it is released.
import { readFile } from 'node:fs/promises'
import type { LoadedConfig } from '../config/load.ts'
import { findEncoder } from '../embeddings/create.ts'
import type { Matrix } from '../embeddings/matrix.ts'
import { tokenEncoder } from '../embeddings/tokens.ts'
import { loadTransformers } from '../embeddings/transformers.ts'
import { readPopulation } from '../evolution/population.ts'
import { ownVoter } from '../federation/client/own-vote.ts'
import { sha256Hex } from '../federation/protocol/bytes.ts'
import { decodeCandidates, encodeCandidates } from '../federation/protocol/candidate-bytes.ts'
import {
  embedderIdentityHash,
  type Manifest,
  manifestBytes,
  PROTOCOL,
} from '../federation/protocol/manifest.ts'
import { encodeVote, SALT_BYTES } from '../federation/protocol/vote-bytes.ts'
import { voteTermsOf } from '../federation/protocol/vote-terms.ts'
import type { ArmMeters, ArmResult } from '../finetune/arm-job.ts'
import { seededRandom } from '../random.ts'
import { voteOptions } from '../run/local-steps.ts'
import { namedModel, openEmbedder } from '../run/models.ts'
import type { ArmTask } from './arm.ts'
import { encoderFlops, encoderShape, neighbourFlops } from './client-flops.ts'
import { cpuSeconds } from './meters.ts'
import { twoServerBytes } from './two-server-bytes.ts'

/** Clients that do the work again: enough for a mean, few enough for a comparison on a laptop. */
const SAMPLE = 24

type ClientMeters = Omit<ArmMeters, 'serverCpuSeconds' | 'llmTokens'>

export interface MeasuredClients {
  readonly meters: ClientMeters
  readonly measures: ArmResult['measures']
}

export async function clientMeters(
  task: ArmTask,
  loaded: LoadedConfig,
  run: string,
): Promise<MeasuredClients> {
  const { config } = loaded
  const { rounds, labels: byLabel } = config.evolution
  // Measured shares of labels are asked for in one round more, whose few bytes are not in the means.
  const asked = byLabel?.shares === 'measured' ? rounds + 1 : rounds
  const clients = await sampledClients(task)
  const more = { onEvent: task.onEvent, ...(task.signal === undefined ? {} : { signal: task.signal }) }
  const embedder = await openEmbedder(loaded, more)
  const count = await tokenCounter(loaded)
  const shape = await encoderShape(loaded)
  const totals = { down: 0, up: 0, twoServer: 0, cpu: 0, flops: 0, votes: 0 }
  const measured = [...new Set([1, rounds])]
  try {
    for (const round of measured) {
      const file = `${run}/rounds/${String(round).padStart(4, '0')}/population.jsonl`
      const population = (await readPopulation(file)) ?? []
      const candidates = await embedder.embed(population.map(({ text }) => text))
      const labels = config.evolution.labels?.values ?? null
      const served = serve(loaded, round, candidates, {
        embedder: embedder.identity,
        labels:
          labels === null
            ? null
            : { names: labels, of: population.map(({ label }) => labels.indexOf(label as string)) },
      })
      const twoServer = twoServerBytes(config, population.length)
      for (const own of clients) {
        const cpu = cpuSeconds()
        const { count: rows, dim, encoding } = served.manifest.candidates
        const decoded = decodeCandidates(served.candidates, { count: rows, dim, encoding })
        const vote = await ownVoter(own, embedder).vote(served.manifest, decoded)
        const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES))
        const upload = encodeVote(vote, salt)
        totals.cpu += cpu()
        totals.up += upload.length
        totals.down += served.bytes.length + served.candidates.length
        totals.twoServer += twoServer
        totals.votes++
        const texts = own.texts.slice(0, config.histogram.maxTextsPerClient)
        for (const text of texts) {
          totals.flops += neighbourFlops(population.length, candidates.dim)
          if (shape !== undefined) totals.flops += encoderFlops(shape, count(text))
        }
      }
    }
  } finally {
    await embedder.dispose()
  }
  const mean = (total: number) => total / totals.votes
  return {
    meters: {
      rounds: asked,
      participations: asked * task.clients,
      bytesDownPerClientRound: mean(totals.down),
      bytesUpPerClientRound: mean(totals.up),
      clientCpuSecondsPerRound: mean(totals.cpu),
      clientFlopsPerRound: mean(totals.flops),
    },
    measures: {
      bytesUpTwoServer: mean(totals.twoServer),
      meteredClients: clients.length,
      candidates: typeof config.evolution.population === 'number' ? config.evolution.population : null,
    },
  }
}

export interface Served {
  readonly manifest: Manifest
  readonly bytes: Uint8Array
  readonly candidates: Uint8Array
}

/** A round as the coordinator would serve it: manifest and candidates, in bytes. */
export function serve(
  { config }: LoadedConfig,
  round: number,
  candidates: Matrix,
  of: { readonly embedder: Manifest['embedder']; readonly labels: Manifest['labels'] },
): Served {
  const encoding = config.federation?.candidates ?? 'int8'
  const bytes = encodeCandidates(candidates, encoding)
  const { privacy, histogram, data, evolution } = config
  // Times, names and the noise of no coordinator: fields of the sizes that a coordinator's have.
  const manifest: Manifest = {
    protocol: PROTOCOL,
    task: '0'.repeat(32),
    run: '0'.repeat(32),
    round,
    rounds: evolution.rounds,
    attempt: 1,
    opened: 1_700_000_000_000,
    deadline: 1_700_003_600_000,
    embedder: of.embedder,
    embedderHash: embedderIdentityHash(of.embedder),
    candidates: { sha256: sha256Hex(bytes), count: candidates.rows, dim: candidates.dim, encoding },
    labels: of.labels,
    texts: { minWords: data.minWords, maxWords: data.maxWords },
    vote: voteTermsOf(voteOptions(config), histogram.distance),
    noise: {
      noiseMultiplier: 1.234567890123456,
      unit: 'client',
      adjacency: privacy.adjacency,
      delta: privacy.delta,
    },
    cohort: { minimum: privacy.minimumClients, target: null, seats: null },
    aggregation: { mode: 'trusted' },
  }
  return { manifest, bytes: manifestBytes(manifest), candidates: bytes }
}

interface SampledClient {
  readonly texts: readonly string[]
  readonly labels?: readonly string[]
}

async function sampledClients({ inputs }: ArmTask): Promise<SampledClient[]> {
  const byClient = new Map<string, { texts: string[]; labels: string[] }>()
  for (const line of (await readFile(inputs.clients, 'utf8')).split('\n')) {
    if (line === '') continue
    const { client, text, label } = JSON.parse(line) as { client: string; text: string; label?: string }
    const own = byClient.get(client) ?? { texts: [], labels: [] }
    own.texts.push(text)
    if (label !== undefined) own.labels.push(label)
    byClient.set(client, own)
  }
  return seededRandom(0, 'metered-clients')
    .sample([...byClient.values()], SAMPLE)
    .map(({ texts, labels }) => (labels.length === 0 ? { texts } : { texts, labels }))
}

/** Tokens of a text as the embedder reads it. */
async function tokenCounter(loaded: LoadedConfig): Promise<(text: string) => number> {
  const { model, maxTokens } = loaded.config.embeddings
  if (model === 'hashing') return () => 0
  const { folder } = await findEncoder({ model: namedModel(model, loaded) })
  const { AutoTokenizer } = await loadTransformers()
  const tokenizer = await AutoTokenizer.from_pretrained(folder, { local_files_only: true })
  const encode = tokenEncoder(tokenizer, 0)
  return (text) => encode(text, maxTokens).length
}
