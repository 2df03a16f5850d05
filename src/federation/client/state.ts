// What a client keeps: its identity, its unfinished vote and its ledger. Injected, because a browser keeps them elsewhere
// than Node does; whatever keeps them, a value that was set is there after a crash.
import type { MechanismEvent } from '../../privacy/events.ts'
import type { LedgerTerms } from '../../privacy/ledger-charges.ts'
import type { Against } from '../../privacy/two-parties.ts'
import type { SealingKeys } from '../protocol/aggregator.ts'
import { fromBase64Url, sha256Hex, toBase64Url, utf8 } from '../protocol/bytes.ts'
import type { Receipt } from '../protocol/messages.ts'
import { type ClientIdentity, clientIdentity } from './identity.ts'
import type { ClientPolicy } from './policy.ts'

/** Small values by name. `set` returns once the value is durable, and replaces the old one in one step. */
export interface ClientStorage {
  get(name: string): Promise<string | undefined>
  set(name: string, value: string): Promise<void>
}

/** What the client's own texts have been charged for, over all tasks. */
export interface ClientLedger {
  charged(): Promise<readonly MechanismEvent[]>
  /** Whether this release was charged before. */
  has(task: string, release: string): Promise<boolean>
  /** Durable before it returns; the same release again is not charged again. */
  charge(task: string, release: string, mechanism: MechanismEvent, against?: Against): Promise<void>
}

/** What a client's ledger holds its owner's policy to, wherever it is kept: the same entries, refusals and words. */
export type LedgerPolicy = Pick<ClientPolicy, 'adjacency' | 'epsilon' | 'delta'>

export function ownTerms({ adjacency, epsilon, delta }: LedgerPolicy): LedgerTerms {
  return { dataset: 'own-texts', unit: 'client', adjacency, budget: { epsilon, delta } }
}

/** The identity for a task, made when it is first asked for: tasks cannot be linked by it. */
export async function identityFor(storage: ClientStorage, task: string): Promise<ClientIdentity> {
  const name = `identity-${task}`
  const kept = await storage.get(name)
  const secret = kept === undefined ? undefined : fromBase64Url(kept)
  if (secret !== undefined) return clientIdentity(secret)
  const made = crypto.getRandomValues(new Uint8Array(32))
  await storage.set(name, toBase64Url(made))
  return clientIdentity(made)
}

/** The helper that this client trusts in a task; undefined before its first round of two servers. */
export function pinnedHelper(storage: ClientStorage, task: string): Promise<string | undefined> {
  return storage.get(`helper-${task}`)
}

/** Keeps the helper of the first round: from here on another one is refused. */
export async function pinHelper(storage: ClientStorage, task: string, identity: string): Promise<void> {
  if ((await pinnedHelper(storage, task)) === undefined) await storage.set(`helper-${task}`, identity)
}

const newestKeyName = (aggregator: string) => `sealing-${sha256Hex(utf8(aggregator))}`

/** When the newest sealing key of an aggregator was made that this client saw, in any task; 0 before the first. */
export async function newestKey(storage: ClientStorage, aggregator: string): Promise<number> {
  return Number((await storage.get(newestKeyName(aggregator))) ?? 0)
}

export async function keepNewestKey(storage: ClientStorage, { identity, keys }: SealingKeys): Promise<void> {
  const created = keys[0]?.created ?? 0
  if (created > (await newestKey(storage, identity)))
    await storage.set(newestKeyName(identity), String(created))
}

/** The vote of a round: kept before it is first sent, replaced by its receipt once that is there. */
export type KeptVote =
  | {
      readonly upload: Uint8Array
      /** What a sealed upload was made of, so that it can be sealed again. */
      readonly shares?: string
      readonly receipt?: undefined
    }
  | { readonly receipt: Receipt; readonly upload?: undefined }

export async function keptVote(storage: ClientStorage, manifest: string): Promise<KeptVote | undefined> {
  const kept = await storage.get(`vote-${manifest}`)
  if (kept === undefined) return undefined
  const { upload, shares, receipt } = JSON.parse(kept) as {
    upload?: string
    shares?: string
    receipt?: Receipt
  }
  if (receipt !== undefined) return { receipt }
  const bytes = fromBase64Url(upload ?? '')
  if (bytes === undefined) return undefined
  return { upload: bytes, ...(shares === undefined ? {} : { shares }) }
}

export function keepUpload(
  storage: ClientStorage,
  manifest: string,
  { bytes, shares }: Upload,
): Promise<void> {
  return storage.set(`vote-${manifest}`, JSON.stringify({ upload: toBase64Url(bytes), shares }))
}

/** What leaves, and where it is sealed, what it was made of. */
export interface Upload {
  readonly bytes: Uint8Array
  readonly shares?: string | undefined
}

export function keepReceipt(storage: ClientStorage, receipt: Receipt): Promise<void> {
  return storage.set(`vote-${receipt.manifest}`, JSON.stringify({ receipt }))
}
