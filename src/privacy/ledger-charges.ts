// What a ledger pays for and what it refuses, wherever its entries are kept: a file of the owner (ledger.ts), or a browser.
import { PretextError } from '../errors.ts'
import { filterEpsilon } from './accountant.ts'
import { checkEvent, type MechanismEvent } from './events.ts'
import { type ChargeEntry, entryBehind, type LedgerEntry, Mechanism } from './ledger-entries.ts'
import { rdp } from './rdp.ts'
import type { Against } from './two-parties.ts'

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
 * The payment for one release as an entry behind these, or the one that was already made for it (`repeated`). Refuses if the
 * data set's budget would be exceeded, or if unit or adjacency differ from what the ledger already holds. The budget is a
 * filter for adaptively chosen releases: Gaussian ones compose to one Gaussian (GDP), so the condition is checked on the
 * composition itself; others are held to RDP (see `filterEpsilon`). `where` is for people.
 */
export function payment(
  where: string,
  entries: readonly LedgerEntry[],
  terms: LedgerTerms,
  asked: Charge,
  time: Date,
): Paid {
  const wanted = { ...asked, mechanism: storable(asked.mechanism, terms.adjacency) }
  for (const entry of chargesIn(entries)) checkTerms(where, terms, entry)
  const paid = chargeOf(entries, wanted)
  if (paid !== undefined) {
    const same = (a: Charge, b: Charge) =>
      JSON.stringify([a.mechanism, a.against]) === JSON.stringify([b.mechanism, b.against])
    if (!same(paid as Charge, wanted)) {
      throw new PretextError(`release ${wanted.release} of run ${wanted.run} was charged with other noise`, {
        code: 'ledger',
        hint: 'resume with the config that the run was started with, or start a new run',
      })
    }
    return { entry: paid, repeated: true }
  }
  checkBudget(terms, entries, [wanted])
  const { dataset, unit, adjacency } = terms
  const { run, release, mechanism, against } = wanted
  const content = {
    type: 'charge' as const,
    dataset,
    unit,
    adjacency,
    run,
    release,
    mechanism,
    ...(against === undefined ? {} : { against }),
  }
  return { entry: entryBehind(entries, content, time), repeated: false }
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

export function checkTerms(where: string, terms: LedgerTerms, entry: ChargeEntry): void {
  for (const key of ['dataset', 'unit', 'adjacency'] as const) {
    if (entry[key] !== terms[key]) {
      throw new PretextError(
        `${where}: this ledger holds ${key} "${entry[key]}", the run wants ${key} "${terms[key]}"`,
        {
          code: 'ledger',
          hint: 'one ledger belongs to one data set, unit and adjacency; name another ledger, or keep to its terms',
        },
      )
    }
  }
}

export function checkBudget(
  terms: LedgerTerms,
  entries: readonly LedgerEntry[],
  wanted: readonly Charge[],
): void {
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
