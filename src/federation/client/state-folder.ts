// A client's state in Node: one folder, readable by its owner alone, one process at a time. The ledger is one of `privacy`,
// so that "pretext ledger" reads it.
import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { readIfThere, storageError, writeDurable } from '../../durable.ts'
import { PretextError } from '../../errors.ts'
import { takeLock } from '../../lock.ts'
import { charge, chargeOf, chargesIn, readLedger } from '../../privacy/ledger.ts'
import { type ClientLedger, type ClientStorage, type LedgerPolicy, ownTerms } from './state.ts'

export interface StateFolder {
  readonly storage: ClientStorage
  readonly ledger: ClientLedger
  readonly ledgerFile: string
  release(): Promise<void>
}

export async function openStateFolder(
  folder: string,
  policy: LedgerPolicy,
  options: { readonly lockWaitMs?: number } = {},
): Promise<StateFolder> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await chmod(folder, 0o700)
  } catch (error) {
    throw storageError(error, folder)
  }
  const release = await takeLock(
    folder,
    'client',
    options.lockWaitMs === undefined ? {} : { waitMs: options.lockWaitMs },
  )
  const file = (name: string): string => {
    if (!/^[a-z]+-[0-9a-f]+$/.test(name)) throw new RangeError(`expected a name of the client's state`)
    return join(folder, `${name}.json`)
  }
  const ledgerFile = join(folder, 'ledger.jsonl')
  const terms = ownTerms(policy)
  return {
    storage: {
      async get(name) {
        const text = await readIfThere(file(name))
        if (text === undefined) return undefined
        try {
          return (JSON.parse(text) as { value: string }).value
        } catch {
          throw new PretextError(`${file(name)}: expected a part of the client's state, got something else`, {
            code: 'data',
            hint: 'restore the state folder; a new one is a new client and needs a new token',
          })
        }
      },
      set: (name, value) => writeDurable(file(name), `${JSON.stringify({ version: 1, value })}\n`),
    },
    ledger: {
      charged: async () => chargesIn(await readLedger(ledgerFile)).map((entry) => entry.mechanism),
      has: async (task, name) =>
        chargeOf(await readLedger(ledgerFile), { run: task, release: name }) !== undefined,
      async charge(task, name, mechanism, against) {
        const view = against === undefined ? {} : { against }
        await charge(ledgerFile, terms, { run: task, release: name, mechanism, ...view })
      },
    },
    ledgerFile,
    release,
  }
}
