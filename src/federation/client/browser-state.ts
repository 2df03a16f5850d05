// A client's state in a browser: IndexedDB of the page's origin, one tab at a time. Each change is one transaction with
// strict durability, so that what was set is there after a crash. The ledger is one of `privacy`: line by line what Node keeps
// in a file, and what it pays for and refuses is decided by the same code.
import { PretextError } from '../../errors.ts'
import type { MechanismEvent } from '../../privacy/events.ts'
import { chargeOf, chargesIn, payment } from '../../privacy/ledger-charges.ts'
import { type ChargeEntry, entriesIn, entryBehind, type LedgerEntry } from '../../privacy/ledger-entries.ts'
import { type ClientLedger, type ClientStorage, type LedgerPolicy, ownTerms } from './state.ts'

export interface BrowserState {
  readonly storage: ClientStorage
  readonly ledger: ClientLedger
  /** All charges, oldest first. */
  charges(): Promise<readonly ChargeEntry[]>
  /** The ledger as files, for "pretext ledger": `text` as NAME.jsonl, `head` as NAME.jsonl.head. */
  ledgerFiles(): Promise<{ readonly text: string; readonly head: string }>
  /** Names of everything in `storage`. */
  names(): Promise<readonly string[]>
  close(): void
  /** Deletes identity, votes and ledger for good. What was counted stays counted. */
  forget(): Promise<void>
}

/** A charge as version 1 of this database kept it. */
interface OldCharge {
  readonly task: string
  readonly release: string
  readonly mechanism: MechanismEvent
  /** Milliseconds since 1970. */
  readonly at: number
}

const NAME = 'pretext-client'
const VERSION = 2
/** In errors, in the place of a file. */
const LEDGER = 'the ledger of this browser'
const LOCK_WAIT_MS = 2000

export interface BrowserStateOptions {
  readonly name?: string
  readonly indexedDB?: IDBFactory
  /** Locks of this origin; a page without TLS has none, and its browser refuses Web Crypto, too. */
  readonly locks?: LockManager | undefined
  readonly now?: () => number
}

/** Throws PretextError `locked` where another tab has it open. Without a policy it can be looked at, and nothing charged. */
export async function openBrowserState(
  policy?: LedgerPolicy,
  options: BrowserStateOptions = {},
): Promise<BrowserState> {
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
  const change = (
    store: Store,
    act: (objects: IDBObjectStore, undone: (why: unknown) => void) => void,
  ): Promise<void> =>
    new Promise((resolve, reject) => {
      const transaction = database.transaction(store, 'readwrite', { durability: 'strict' })
      transaction.oncomplete = () => resolve()
      transaction.onabort = () => reject(notKept(transaction.error))
      act(transaction.objectStore(store), (why) => {
        reject(why)
        transaction.abort()
      })
    })

  const lines = () => read<string[]>('ledger', (objects) => objects.getAll())
  const entries = async (): Promise<readonly LedgerEntry[]> => entriesIn(LEDGER, await lines())
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
      charged: async () => chargesIn(await entries()).map(({ mechanism }) => mechanism),
      has: async (task, name) => chargeOf(await entries(), { run: task, release: name }) !== undefined,
      charge: (task, name, mechanism, against) =>
        change('ledger', (objects, undone) => {
          const known = objects.getAll() as IDBRequest<string[]>
          known.onsuccess = () => {
            try {
              if (policy === undefined) throw noPolicy()
              const view = against === undefined ? {} : { against }
              const asked = { run: task, release: name, mechanism, ...view }
              const before = entriesIn(LEDGER, known.result)
              const { entry, repeated } = payment(LEDGER, before, ownTerms(policy), asked, new Date(now()))
              if (!repeated) objects.add(JSON.stringify(entry), entry.number)
            } catch (error) {
              undone(error)
            }
          }
        }),
    },
    charges: async () => chargesIn(await entries()),
    async ledgerFiles() {
      const all = await entries()
      const last = all.at(-1)
      return {
        text: all.map((entry) => `${JSON.stringify(entry)}\n`).join(''),
        head: last === undefined ? '' : `${JSON.stringify({ number: last.number, hash: last.hash })}\n`,
      }
    },
    names: async () => (await read('values', (objects) => objects.getAllKeys())).map(String),
    close,
    async forget() {
      database.close()
      await answered(indexedDB.deleteDatabase(name))
      release()
    },
  }
}

type Store = 'values' | 'ledger'

async function opened(indexedDB: IDBFactory, name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(name, VERSION)
  request.onupgradeneeded = ({ oldVersion }) => {
    const database = request.result
    if (oldVersion === 0) database.createObjectStore('values')
    const ledger = database.createObjectStore('ledger')
    if (oldVersion === 1 && request.transaction !== null)
      keepOldCharges(database, request.transaction, ledger)
  }
  return answered(request)
}

/** What was spent stays spent. Version 1 did not say under which adjacency; configs have add-remove by default. */
function keepOldCharges(database: IDBDatabase, transaction: IDBTransaction, ledger: IDBObjectStore): void {
  const old = transaction.objectStore('charges').getAll() as IDBRequest<OldCharge[]>
  old.onsuccess = () => {
    const entries: ChargeEntry[] = []
    for (const { task, release, mechanism, at } of old.result.sort((a, b) => a.at - b.at)) {
      const charge = { type: 'charge', run: task, release, mechanism } as const
      const own = { dataset: 'own-texts', unit: 'client', adjacency: 'add-remove' } as const
      const entry = entryBehind(entries, { ...charge, ...own }, new Date(at))
      ledger.add(JSON.stringify(entry), entry.number)
      entries.push(entry)
    }
    database.deleteObjectStore('charges')
  }
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

function noPolicy(): PretextError {
  return new PretextError('expected a policy to charge a release under, got none', {
    code: 'usage',
    hint: 'open the state with the policy of its owner: openBrowserState(policy)',
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
