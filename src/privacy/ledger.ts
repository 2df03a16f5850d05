// The privacy ledger of one data set: an append-only, hash-chained list of everything that was charged, over all runs
// (ledger-chain.ts). It stores mechanisms, not epsilons, so that a better accountant reads old ledgers better. A charge is on
// the disk before any noise is drawn; a release cites the hash of the charge that paid for it.
import { stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { appendDurable, truncateDurable, writeDurable } from '../durable.ts'
import { PretextError } from '../errors.ts'
import { takeLock } from '../lock.ts'
import { analytic } from './analytic.ts'
import type { MechanismEvent } from './events.ts'
import { type Chain, readChain } from './ledger-chain.ts'
import {
  type Charge,
  chargeOf,
  chargesIn,
  checkBudget,
  checkTerms,
  commitOf,
  type LedgerTerms,
  type Paid,
  payment,
  spentAlready,
} from './ledger-charges.ts'
import { type ChargeEntry, entryBehind, type LedgerEntry } from './ledger-entries.ts'
import { rdp } from './rdp.ts'
import { type Against, multiplierAgainst } from './two-parties.ts'

export {
  type Budget,
  type Charge,
  chargeOf,
  chargesIn,
  commitOf,
  type LedgerTerms,
  type Paid,
  spentAlready,
} from './ledger-charges.ts'
export type { ChargeEntry, LedgerEntry } from './ledger-entries.ts'

/** Reads and verifies a ledger without changing it; an absent file is an empty ledger. */
export async function readLedger(path: string): Promise<readonly LedgerEntry[]> {
  return (await readChain(path)).entries
}

/**
 * Epsilon of everything that a ledger has paid for, at delta: exact where all of it is Gaussian, by RDP at its best order
 * otherwise. It is what these mechanisms cost as a sequence that was fixed in advance. Where noise was chosen after seeing
 * releases, no number read off afterwards is a guarantee; a budget that was fixed before is (`filterEpsilon`). Charges say
 * whom they were counted against; with `against` all are counted against the same.
 */
export function spentEpsilon(entries: readonly LedgerEntry[], delta: number, against?: Against): number {
  const charges = chargesIn(entries)
  const adjacency = charges[0]?.adjacency ?? 'add-remove'
  const events = charges.map((entry) => mechanismAgainst(entry, against))
  const accountant = analytic.refusal(events, adjacency) === undefined ? analytic : rdp
  return accountant.epsilon(events, delta, adjacency)
}

function mechanismAgainst(
  { mechanism, against: from }: ChargeEntry,
  to: Against | undefined,
): MechanismEvent {
  if (from === undefined || to === undefined || mechanism.type !== 'gaussian') return mechanism
  return { ...mechanism, noiseMultiplier: multiplierAgainst(mechanism.noiseMultiplier, from, to) }
}

/**
 * Pays for one release, or finds the payment that was already made for it (`repeated`). Refuses, and writes nothing, where
 * `payment` does, or if the ledger is damaged.
 */
export function charge(path: string, terms: LedgerTerms, asked: Charge): Promise<Paid> {
  return locked(path, async (chain) => {
    const paid = payment(path, chain.entries, terms, asked, new Date())
    // Whatever was drawn for a commit is the release; there is no drawing again.
    if (paid.repeated && commitOf(chain.entries, paid.entry) !== undefined) throw spentAlready(paid.entry)
    if (!paid.repeated) await append(path, chain, paid.entry)
    return paid
  })
}

/**
 * Refuses, before anything is spent, what the ledger would refuse later: other terms, or releases that the budget cannot
 * pay for together. Those of `wanted` that are paid already cost nothing more.
 */
export async function checkAffordable(
  path: string,
  terms: LedgerTerms,
  wanted: readonly Charge[],
): Promise<void> {
  const entries = await readLedger(path)
  for (const entry of chargesIn(entries)) checkTerms(path, terms, entry)
  const open = wanted.filter((w) => chargeOf(entries, w) === undefined)
  checkBudget(terms, entries, open)
}

/** Binds a charge to the bytes of its release, for ever. Throws PretextError `ledger` if it is bound to others. */
export function commit(path: string, paid: ChargeEntry, sha256: string): Promise<void> {
  return locked(path, async (chain) => {
    const before = commitOf(chain.entries, paid)
    if (before === sha256) return
    if (before !== undefined) throw spentAlready(paid)
    const entry = entryBehind(
      chain.entries,
      { type: 'commit' as const, charge: paid.hash, sha256 },
      new Date(),
    )
    await append(path, chain, entry)
  })
}

/** Works on a ledger that nobody else writes, after mending what a crash left: a torn last line, a head that is behind. */
async function locked<T>(path: string, work: (chain: Chain) => Promise<T>): Promise<T> {
  const unlock = await takeLock(dirname(path), basename(path))
  try {
    const chain = await readChain(path)
    const { entries, torn, headBehind } = chain
    const last = entries.at(-1)
    if (torn) await truncateDurable(path, chain.bytes)
    if (headBehind && last !== undefined) await writeHead(path, last)
    return await work(chain)
  } finally {
    await unlock()
  }
}

async function append(path: string, { bytes }: Chain, entry: LedgerEntry): Promise<void> {
  // A process that slept so long that its lock went stale must not write behind another one's back.
  if ((await sizeOf(path)) !== bytes) {
    throw new PretextError(`${path}: another process wrote to the ledger meanwhile`, {
      code: 'locked',
      hint: 'nothing was charged; run again with --resume',
    })
  }
  await appendDurable(path, JSON.stringify(entry))
  await writeHead(path, entry)
}

async function sizeOf(path: string): Promise<number> {
  const { size } = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return { size: 0 }
    throw error
  })
  return size
}

async function writeHead(path: string, entry: LedgerEntry): Promise<void> {
  await writeDurable(`${path}.head`, `${JSON.stringify({ number: entry.number, hash: entry.hash })}\n`)
}
