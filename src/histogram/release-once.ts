// One release is a small state machine: prepare -> charge the ledger -> draw -> write aside -> commit its sha256 to the ledger
// -> rename = released. Nobody reads it earlier, and what was released gives the same bytes for ever. A crash between
// charge and commit draws again under the same charge, because the first draw was seen by no one; after the commit there is
// no second draw, in this folder, a copy of it, or another one of the same name.
//
// Why this is private: what is seen under one charge is one draw of one mechanism, so the composition over charges (Dong, Roth
// and Su, Corollary 3.3) is the composition over releases. Two draws under one charge would average the noise away, and a
// draw without a charge would not be in the sum; a crash at any single step leads to neither (test/histogram/crash.test.ts).
import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { publish, readIfThere, writeSynced } from '../durable.ts'
import { PretextError } from '../errors.ts'
import {
  type Charge,
  charge,
  chargeOf,
  commit,
  commitOf,
  type LedgerTerms,
  type Paid,
  readLedger,
  spentAlready,
} from '../privacy/ledger.ts'

export interface OneRelease {
  /** Where the release lies once it is released. */
  readonly file: string
  readonly ledger: string
  readonly terms: LedgerTerms
  readonly charge: Charge
  /**
   * Everything that can be refused while nothing has been paid. Called only if the release is not there yet; what it gives
   * draws, and says what the file will be.
   */
  readonly prepare: () => Promise<(paid: Paid) => string>
  /** The charge that a file cites; throws where it is not whole. */
  readonly parse: (text: string) => { readonly charge: string }
}

/** The text of the release, made now or before. */
export async function releaseOnce(options: OneRelease): Promise<string> {
  const aside = `${options.file}.part`
  const released = await readIfThere(options.file)
  if (released !== undefined) {
    await checkPaid(options, released)
    return released
  }
  // A release that the ledger already knows cannot be drawn again; it may only lack its name.
  const entries = await readLedger(options.ledger)
  const paid = chargeOf(entries, options.charge)
  const committed = paid === undefined ? undefined : commitOf(entries, paid)
  const drawn = await readIfThere(aside)
  if (paid !== undefined && (committed !== undefined || citedBy(options, drawn) === paid.hash)) {
    // Drawn whole before the crash: that draw is the release, and there is never another one.
    if (drawn === undefined || (committed ?? sha256Of(drawn)) !== sha256Of(drawn)) {
      await rm(aside, { force: true })
      throw spentAlready(paid)
    }
    await commit(options.ledger, paid, sha256Of(drawn))
    await publish(aside, options.file)
    return releaseOnce(options)
  }
  await rm(aside, { force: true })
  const draw = await options.prepare()
  const payment = await charge(options.ledger, options.terms, options.charge)
  const bytes = draw(payment)
  // What could not be read back must not become the release, of which there is never another one.
  if (citedBy(options, bytes) !== payment.entry.hash) {
    throw new PretextError(`${options.file}: expected a release that can be read back, got another one`, {
      code: 'data',
      hint: 'nothing was written; the charge stays, and pays for the next try',
    })
  }
  await writeSynced(aside, bytes)
  try {
    await commit(options.ledger, payment.entry, sha256Of(bytes))
  } catch (error) {
    // Another process released under this charge meanwhile: this draw must not stay where somebody could read it.
    if (error instanceof PretextError && error.code === 'ledger') await rm(aside, { force: true })
    throw error
  }
  await publish(aside, options.file)
  return bytes
}

/** A released file must be the one that its charge was spent on, byte for byte; not one that another charge paid for. */
async function checkPaid(options: OneRelease, released: string): Promise<void> {
  const entries = await readLedger(options.ledger)
  const cited = citedBy(options, released)
  if (cited === undefined) throw noRelease(options.file)
  const paid = chargeOf(entries, options.charge)
  if (paid === undefined || paid.hash !== cited) {
    throw new PretextError(`${options.file}: no entry of ${options.ledger} paid for this release`, {
      code: 'ledger',
      hint: 'restore the ledger that the run was started with',
    })
  }
  if (commitOf(entries, paid) !== sha256Of(released)) throw spentAlready(paid)
}

/** The charge that a whole draw cites; undefined for none, or a torn one. */
function citedBy({ parse }: OneRelease, drawn: string | undefined): string | undefined {
  if (drawn === undefined) return undefined
  try {
    return parse(drawn).charge
  } catch {
    return undefined
  }
}

export function noRelease(file: string, cause?: unknown): PretextError {
  return new PretextError(`${file}: expected a release, got something else`, {
    code: 'data',
    hint: 'releases are written once and never edited; start a new run',
    ...(cause === undefined ? {} : { cause }),
  })
}

function sha256Of(bytes: string): string {
  return createHash('sha256').update(bytes).digest('hex')
}
