// The privacy ledger of one data set: an append-only, hash-chained list of everything that was charged, over all runs
// (ledger-chain.ts). It stores mechanisms, not epsilons, so that a better accountant reads old ledgers better. A charge is on
// the disk before any noise is drawn; a release cites the hash of the charge that paid for it.
import { stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { appendDurable, truncateDurable, writeDurable } from '../durable.ts'
import { PretextError } from '../errors.ts'
import { takeLock } from '../lock.ts'
import { filterEpsilon } from './accountant.ts'
import { analytic } from './analytic.ts'
import { checkEvent, type MechanismEvent } from './events.ts'
import {
  type Chain,
  type ChargeEntry,
  type CommitEntry,
  type common,
  GENESIS,
  hashOf,
  type LedgerEntry,
  Mechanism,
  readChain,
} from './ledger-chain.ts'
import { rdp } from './rdp.ts'
import { type Against, multiplierAgainst } from './two-parties.ts'

export type { ChargeEntry, LedgerEntry } from './ledger-chain.ts'

/** What a run asks the ledger to pay for. */
export interface Charge {
  readonly run: string
  /** Name of the release inside its run; one charge per name, for ever. */
  readonly release: string
  readonly mechanism: MechanismEvent
  /** Whom the mechanism is counted against, where two servers add half of the noise each. */
  readonly against?: Against
}

/** The most that a data set may spend over all runs; a charge beyond it is refused. */
export interface Budget {
  readonly epsilon: number
  readonly delta: number
}

export interface LedgerTerms {
  readonly dataset: string
  readonly unit: ChargeEntry['unit']
  readonly adjacency: ChargeEntry['adjacency']
  readonly budget?: Budget
}

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

/** The charges among the entries. */
export function chargesIn(entries: readonly LedgerEntry[]): readonly ChargeEntry[] {
  return entries.filter((entry) => entry.type === 'charge')
}

export interface Paid {
  readonly entry: ChargeEntry
  /** True if it was paid before, by a process that did not get as far as releasing. */
  readonly repeated: boolean
}

/**
 * Pays for one release, or finds the payment that was already made for it (`repeated`). Refuses, and writes nothing, if
 * the data set's budget would be exceeded, if the ledger is damaged, or if unit or adjacency differ from what the
 * ledger already holds. The budget is a filter for adaptively chosen releases: Gaussian ones compose to one Gaussian (GDP),
 * so the condition is checked on the composition itself; others are held to RDP (see `filterEpsilon`).
 */
export function charge(path: string, terms: LedgerTerms, asked: Charge): Promise<Paid> {
  return locked(path, async (chain) => {
    const wanted = { ...asked, mechanism: storable(asked.mechanism, terms.adjacency) }
    const { entries } = chain
    for (const entry of chargesIn(entries)) checkTerms(path, terms, entry)
    const paid = chargeOf(entries, wanted)
    if (paid !== undefined) {
      if (JSON.stringify(paid.mechanism) !== JSON.stringify(wanted.mechanism)) {
        throw new PretextError(
          `release ${wanted.release} of run ${wanted.run} was charged with other noise`,
          {
            code: 'ledger',
            hint: 'resume with the config that the run was started with, or start a new run',
          },
        )
      }
      // Whatever was drawn for a commit is the release; there is no drawing again.
      if (commitOf(entries, paid) !== undefined) throw spentAlready(paid)
      return { entry: paid, repeated: true }
    }
    checkBudget(terms, entries, [wanted])
    const { dataset, unit, adjacency } = terms
    const { run, release, mechanism, against } = wanted
    const entry = await append(path, chain, {
      type: 'charge',
      dataset,
      unit,
      adjacency,
      run,
      release,
      mechanism,
      ...(against === undefined ? {} : { against }),
    })
    return { entry: entry as ChargeEntry, repeated: false }
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
    await append(path, chain, { type: 'commit', charge: paid.hash, sha256 })
  })
}

/** The error of a second release under one charge. */
export function spentAlready(paid: ChargeEntry): PretextError {
  return new PretextError(
    `release ${paid.release} of run ${paid.run} was already made, and its file is not the one that the ledger knows`,
    {
      code: 'ledger',
      hint: 'restore the run folder as it was, or start a new run (it is charged again); a second draw under one charge would give the votes away',
    },
  )
}

/** What was paid for a release; undefined while it is not. */
export function chargeOf(
  entries: readonly LedgerEntry[],
  { run, release }: Pick<Charge, 'run' | 'release'>,
): ChargeEntry | undefined {
  return chargesIn(entries).find((entry) => entry.run === run && entry.release === release)
}

/**
 * The mechanism as the file will give it back, its keys in one order: the hash of an entry is taken over this. One that
 * nothing can account for is refused, since after it the spend of the data set would be unknown.
 */
function storable(mechanism: MechanismEvent, adjacency: ChargeEntry['adjacency']): MechanismEvent {
  const { data } = Mechanism.safeParse(mechanism)
  if (data === undefined) {
    checkEvent(mechanism)
    throw new PretextError('expected a mechanism whose numbers are finite, got another', {
      code: 'config',
      hint: 'a release without noise is { type: "exact" }',
    })
  }
  const reason = rdp.refusal([data], adjacency)
  if (reason === undefined) return data
  throw new PretextError(`a ledger under ${adjacency} adjacency cannot hold this mechanism: ${reason}`, {
    code: 'config',
    hint: 'charge the release as if every client took part: leave the sampling out',
  })
}

/** sha256 of the bytes that a charge was spent on; undefined while it is not. */
export function commitOf(entries: readonly LedgerEntry[], paid: ChargeEntry): string | undefined {
  for (const entry of entries) if (entry.type === 'commit' && entry.charge === paid.hash) return entry.sha256
  return undefined
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

type Content = ChargeContent | CommitContent
type ChargeContent = Omit<ChargeEntry, keyof typeof common>
type CommitContent = Omit<CommitEntry, keyof typeof common>

async function append(path: string, { entries, bytes }: Chain, content: Content): Promise<LedgerEntry> {
  const body = {
    format: 'pretext-ledger' as const,
    version: 1 as const,
    number: entries.length + 1,
    previous: entries.at(-1)?.hash ?? GENESIS,
    time: new Date().toISOString(),
    ...content,
  }
  const entry = { ...body, hash: hashOf(body) }
  // A process that slept so long that its lock went stale must not write behind another one's back.
  if ((await sizeOf(path)) !== bytes) {
    throw new PretextError(`${path}: another process wrote to the ledger meanwhile`, {
      code: 'locked',
      hint: 'nothing was charged; run again with --resume',
    })
  }
  await appendDurable(path, JSON.stringify(entry))
  await writeHead(path, entry)
  return entry
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

function checkTerms(path: string, terms: LedgerTerms, entry: ChargeEntry): void {
  for (const key of ['dataset', 'unit', 'adjacency'] as const) {
    if (entry[key] !== terms[key]) {
      throw new PretextError(
        `${path}: this ledger holds ${key} "${entry[key]}", the run wants ${key} "${terms[key]}"`,
        {
          code: 'ledger',
          hint: 'one ledger belongs to one data set, unit and adjacency; name another ledger, or keep to its terms',
        },
      )
    }
  }
}

function checkBudget(terms: LedgerTerms, entries: readonly LedgerEntry[], wanted: readonly Charge[]): void {
  if (terms.budget === undefined) return
  const { epsilon, delta } = terms.budget
  const paid = chargesIn(entries).map((entry) => entry.mechanism)
  const filtered = (events: readonly MechanismEvent[]) =>
    events.length === 0 ? 0 : filterEpsilon(events, { epsilon, delta }, terms.adjacency)
  const before = filtered(paid)
  const after = filtered([...paid, ...wanted.map((charge) => charge.mechanism)])
  if (after <= epsilon) return
  throw new PretextError(
    `${wanted.length === 1 ? 'the release' : `these ${wanted.length} releases`} would bring data set "${terms.dataset}" to epsilon ${after.toFixed(4)}, over its budget of ${epsilon} at delta ${delta} (spent so far: ${before.toFixed(4)})`,
    { code: 'budget', hint: 'nothing was released; use more noise or fewer rounds, or raise privacy.budget' },
  )
}
