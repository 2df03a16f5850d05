// What a client keeps: its identity, its unfinished vote and its ledger. Injected, because a browser keeps them elsewhere
// than Node does; whatever keeps them, a value that was set is there after a crash.
import type { MechanismEvent } from '../../privacy/events.ts'
import { fromBase64Url, toBase64Url } from '../protocol/bytes.ts'
import type { Receipt } from '../protocol/messages.ts'
import { type ClientIdentity, clientIdentity } from './identity.ts'

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
  charge(task: string, release: string, mechanism: MechanismEvent): Promise<void>
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

/** The vote of a round: kept before it is first sent, replaced by its receipt once that is there. */
export type KeptVote =
  | { readonly upload: Uint8Array; readonly receipt?: undefined }
  | { readonly receipt: Receipt; readonly upload?: undefined }

export async function keptVote(storage: ClientStorage, manifest: string): Promise<KeptVote | undefined> {
  const kept = await storage.get(`vote-${manifest}`)
  if (kept === undefined) return undefined
  const { upload, receipt } = JSON.parse(kept) as { upload?: string; receipt?: Receipt }
  if (receipt !== undefined) return { receipt }
  const bytes = fromBase64Url(upload ?? '')
  return bytes === undefined ? undefined : { upload: bytes }
}

export function keepUpload(storage: ClientStorage, manifest: string, upload: Uint8Array): Promise<void> {
  return storage.set(`vote-${manifest}`, JSON.stringify({ upload: toBase64Url(upload) }))
}

export function keepReceipt(storage: ClientStorage, receipt: Receipt): Promise<void> {
  return storage.set(`vote-${receipt.manifest}`, JSON.stringify({ receipt }))
}
