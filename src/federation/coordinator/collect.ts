// One round with real clients: opened, waited for, closed. It ends by its deadline whatever the clients do; below the
// minimum cohort it is refused, nothing is released, and it may be opened again as another attempt.
import type { EmbedderIdentity } from '../../embeddings/embedder.ts'
import type { Matrix } from '../../embeddings/matrix.ts'
import { PretextError } from '../../errors.ts'
import type { ClosedRound } from '../aggregation/aggregation.ts'
import { sha256Hex, utf8 } from '../protocol/bytes.ts'
import { type CandidateEncoding, encodeCandidates } from '../protocol/candidate-bytes.ts'
import { embedderIdentityHash, type Manifest, manifestBytes, PROTOCOL } from '../protocol/manifest.ts'
import { SIGNATURE_WINDOW_MS } from '../protocol/signing.ts'
import type { StoredRound } from '../stores/store.ts'
import type { Coordinator } from './coordinator.ts'

/** What the run decides of a round; the rest of the manifest follows. */
export interface RoundTerms {
  readonly run: string
  readonly round: number
  readonly rounds: number
  readonly candidates: Matrix
  readonly embedder: EmbedderIdentity
  readonly labels: Manifest['labels']
  readonly texts: Manifest['texts']
  readonly vote: Manifest['vote']
  readonly noise: Manifest['noise']
  readonly cohort: Manifest['cohort']
  readonly encoding: CandidateEncoding
  readonly openSeconds: number
  /** Times that a round below the minimum cohort is opened before giving up. */
  readonly attempts: number
}

/** How often the votes are counted while a round waits for its target; and the least it takes to close. */
const LOOK_MS = 500

/** The closed round of these terms: a new one, or one that an earlier process opened or closed. */
export async function collectRound(
  coordinator: Coordinator,
  terms: RoundTerms,
  signal?: AbortSignal,
): Promise<ClosedRound> {
  const { store } = coordinator
  for (;;) {
    const known = (await store.rounds(terms.run)).filter((round) => round.number === terms.round)
    const last = known.at(-1)
    const again = last === undefined || last.state === 'refused'
    // Once more: a crash may have come between the refusal and this.
    if (last?.state === 'refused') await store.forgetVotes(last.manifest)
    const attempt = (last?.attempt ?? 0) + 1
    if (again && attempt > terms.attempts) throw tooFew(terms)
    const round = again ? await openRound(coordinator, terms, attempt) : last
    const manifest = (await coordinator.manifest(round.manifest)) as Manifest
    if (round.state === 'open') await waitFor(coordinator, round, manifest, signal)
    const closed = { hash: round.manifest, manifest, uploads: () => store.votes(round.manifest) }
    if (round.state === 'released' || (await enough(coordinator, closed))) return closed
    await coordinator.aggregation.refused?.(closed)
    await store.endRound(round.manifest, 'refused', null)
    await store.forgetVotes(round.manifest)
    coordinator.onEvent?.({
      type: 'warning',
      message: `round ${terms.round}: fewer than ${manifest.cohort.minimum} clients voted by the deadline (attempt ${round.attempt} of ${terms.attempts}); nothing was released`,
    })
  }
}

/** Whether as many clients voted, and validly, as the cohort must have. */
async function enough({ store, aggregation }: Coordinator, round: ClosedRound): Promise<boolean> {
  const { minimum } = round.manifest.cohort
  if ((await store.voters(round.hash)) < minimum) return false
  return aggregation.counted === undefined || (await aggregation.counted(round)) >= minimum
}

/** Makes the released bytes public and forgets the single votes. */
export async function publishRelease(
  { store, clock }: Coordinator,
  round: string,
  released: Uint8Array,
): Promise<void> {
  const name = sha256Hex(released)
  await store.putBlob(name, released)
  await store.endRound(round, 'released', name)
  await store.forgetVotes(round)
  // A signature may be of a time ahead, so that it holds for twice the window after it came.
  await store.forgetNonces(clock.now() - 2 * SIGNATURE_WINDOW_MS - 1000)
}

async function openRound(coordinator: Coordinator, terms: RoundTerms, attempt: number): Promise<StoredRound> {
  const { store, clock, task, aggregation } = coordinator
  const bytes = encodeCandidates(terms.candidates, terms.encoding)
  const candidates = sha256Hex(bytes)
  const opened = clock.now()
  const manifest: Manifest = {
    protocol: PROTOCOL,
    task,
    run: sha256Hex(utf8(terms.run)).slice(0, 32),
    round: terms.round,
    rounds: terms.rounds,
    attempt,
    opened,
    deadline: opened + Math.ceil(terms.openSeconds * 1000),
    embedder: { ...terms.embedder },
    embedderHash: embedderIdentityHash(terms.embedder),
    candidates: {
      sha256: candidates,
      count: terms.candidates.rows,
      dim: terms.candidates.dim,
      encoding: terms.encoding,
    },
    labels: terms.labels,
    texts: terms.texts,
    vote: terms.vote,
    noise: terms.noise,
    cohort: terms.cohort,
    aggregation: aggregation.terms,
  }
  const document = manifestBytes(manifest)
  const hash = sha256Hex(document)
  await aggregation.announce?.(hash, manifest, document)
  await store.putBlob(candidates, bytes)
  await store.putBlob(hash, document)
  const { run, round: number, cohort } = terms
  return store.openRound({
    manifest: hash,
    run,
    number,
    attempt,
    opened,
    deadline: manifest.deadline,
    seats: cohort.seats,
  })
}

async function waitFor(
  { store, clock }: Coordinator,
  round: StoredRound,
  { cohort }: Manifest,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (;;) {
    const left = round.deadline - clock.now()
    if (left <= 0) break
    if (cohort.target !== null && (await store.voters(round.manifest)) >= cohort.target) break
    await clock.sleep(Math.min(left, LOOK_MS), signal)
  }
  await store.closeRound(round.manifest)
}

function tooFew({ round, cohort, attempts }: RoundTerms): PretextError {
  return new PretextError(
    `round ${round}: expected at least ${cohort.minimum} clients to vote, got fewer in ${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}; nothing was released`,
    {
      code: 'clients',
      hint: 'ask more clients to take part, or give them more time (federation.roundMinutes); --resume goes on',
    },
  )
}
