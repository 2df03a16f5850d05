// A client's state in a browser: IndexedDB of the page's origin, one tab at a time. Each change is one transaction with
// strict durability, so that what was set is there after a crash; the charge of a release is added once, by its key.
import { PretextError } from '../../errors.ts'
import type { MechanismEvent } from '../../privacy/events.ts'
import type { ClientLedger, ClientStorage } from './state.ts'

export interface BrowserState {
  readonly storage: ClientStorage
  readonly ledger: ClientLedger
  /** All charges, oldest first. */
  charges(): Promise<readonly Charge[]>
  /** Names of everything in `storage`. */
  names(): Promise<readonly string[]>
  close(): void
  /** Deletes identity, votes and ledger for good. What was counted stays counted. */
  forget(): Promise<void>
}

export interface Charge {
  readonly task: string
  readonly release: string
  readonly mechanism: MechanismEvent
  /** Milliseconds since 1970. */
  readonly at: number
}

const NAME = 'pretext-client'
const LOCK_WAIT_MS = 2000

export interface BrowserStateOptions {
  readonly name?: string
  readonly indexedDB?: IDBFactory
  /** Locks of this origin; a page without TLS has none, and its browser refuses Web Crypto, too. */
  readonly locks?: LockManager | undefined
  readonly now?: () => number
}

/** Throws PretextError `locked` where another tab has it open. */
export async function openBrowserState(options: BrowserStateOptions = {}): Promise<BrowserState> {
  const { name = NAME, indexedDB = globalThis.indexedDB, now = Date.now } = options
  const locks = 'locks' in options ? options.locks : globalThis.navigator.locks
  const release = await takeTabLock(locks, name)
  let database: IDBDatabase
  try {
    database = await opened(indexedDB, name)
  } catch (error) {
    release()
    throw error
  }

  const read = <T>(store: Store, ask: (objects: IDBObjectStore) => IDBRequest<T>): Promise<T> =>
    answered(ask(database.transaction(store, 'readonly').objectStore(store)))
  const change = (store: Store, act: (objects: IDBObjectStore) => void): Promise<void> =>
    new Promise((resolve, reject) => {
      const transaction = database.transaction(store, 'readwrite', { durability: 'strict' })
      transaction.oncomplete = () => resolve()
      transaction.onabort = () => reject(notKept(transaction.error))
      act(transaction.objectStore(store))
    })

  const charges = async (): Promise<readonly Charge[]> =>
    (await read<Charge[]>('charges', (objects) => objects.getAll())).sort((a, b) => a.at - b.at)
  const close = () => {
    database.close()
    release()
  }
  return {
    storage: {
      get: (key) => read<string | undefined>('values', (objects) => objects.get(key)),
      set: (key, value) => change('values', (objects) => objects.put(value, key)),
    },
    ledger: {
      charged: async () => (await charges()).map(({ mechanism }) => mechanism),
      has: async (task, release) =>
        (await read('charges', (objects) => objects.getKey([task, release]))) !== undefined,
      async charge(task, release, mechanism) {
        await change('charges', (objects) => {
          const known = objects.getKey([task, release])
          known.onsuccess = () => {
            if (known.result === undefined)
              objects.add({ task, release, mechanism, at: now() } satisfies Charge)
          }
        })
        const kept = await read<Charge>('charges', (objects) => objects.get([task, release]))
        if (JSON.stringify(kept.mechanism) !== JSON.stringify(mechanism)) throw otherNoise()
      },
    },
    charges,
    names: async () => (await read('values', (objects) => objects.getAllKeys())).map(String),
    close,
    async forget() {
      database.close()
      await answered(indexedDB.deleteDatabase(name))
      release()
    },
  }
}

type Store = 'values' | 'charges'

async function opened(indexedDB: IDBFactory, name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(name, 1)
  request.onupgradeneeded = () => {
    request.result.createObjectStore('values')
    request.result.createObjectStore('charges', { keyPath: ['task', 'release'] })
  }
  return answered(request)
}

function answered<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(notKept(request.error))
  })
}

function notKept(error: DOMException | null): PretextError {
  return new PretextError(
    `this browser could not keep what taking part needs (${error?.name ?? 'aborted'})`,
    {
      code: 'storage',
      hint: 'free some space, and do not use a private window: the record of what you spent must last',
    },
  )
}

function otherNoise(): PretextError {
  return new PretextError('this round was charged with other noise before', {
    code: 'ledger',
    hint: 'nothing of it was sent; ask the operator why the same round has two guarantees',
  })
}

/** Held until the given function is called, or the tab is gone. */
async function takeTabLock(locks: LockManager | undefined, name: string): Promise<() => void> {
  if (locks === undefined) {
    throw new PretextError('expected a page over https (or on this machine), got one without', {
      code: 'usage',
      hint: 'open the page by its https address: votes would be readable on the way',
    })
  }
  return new Promise((resolve, reject) => {
    // A tab that was just closed or loaded again has its lock for a moment longer.
    locks
      .request(name, { signal: AbortSignal.timeout(LOCK_WAIT_MS) }, () => {
        return new Promise<void>((release) => resolve(release))
      })
      .catch(() => {
        reject(
          new PretextError('another tab of this browser is taking part', {
            code: 'locked',
            hint: 'go on there, or close it first',
          }),
        )
      })
  })
}
