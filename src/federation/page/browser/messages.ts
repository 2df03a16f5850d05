// What the page and its worker tell each other. Texts go to the worker of the same page and no further.
import type {
  ChargeEntry,
  ClientEvent,
  ClientPolicy,
  Manifest,
  OwnTexts,
  Receipt,
  Task,
} from '../../client/browser.ts'

export type ToWorker =
  | { readonly type: 'look'; readonly server: string }
  | {
      readonly type: 'start'
      readonly server: string
      readonly policy: ClientPolicy
      readonly own: OwnTexts
      readonly token: string | undefined
      readonly device: 'wasm' | 'webgpu'
    }
  | { readonly type: 'stop' }
  | { readonly type: 'forget' }

/** What this browser has kept. */
export interface Kept {
  readonly enrolled: boolean
  readonly charges: readonly ChargeEntry[]
  readonly receipts: readonly Receipt[]
  /** Votes that were made and have no receipt yet. */
  readonly unanswered: number
}

export type FromWorker =
  | {
      readonly type: 'looked'
      readonly task: Task
      readonly manifest: Manifest | undefined
      readonly kept: Kept
    }
  | { readonly type: 'event'; readonly event: ClientEvent }
  | { readonly type: 'kept'; readonly kept: Kept }
  | { readonly type: 'model'; readonly loaded: number; readonly total: number }
  | { readonly type: 'retry'; readonly why: string; readonly seconds: number }
  | { readonly type: 'failed'; readonly message: string; readonly hint: string | undefined }
  | { readonly type: 'stopped' }
  | { readonly type: 'forgotten' }
