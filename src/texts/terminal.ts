// Exact counts of what was read. They are statistics of private data without noise, so they are for the owner's own
// terminal alone (design rule 4.2): every way of serialising or logging them gives a placeholder.
import { inspect } from 'node:util'

export interface Counts {
  /** Rows in the files, good and bad. */
  readonly rows: number
  readonly badRows: number
  /** Left out because they have fewer words than minWords. */
  readonly tooShort: number
  /** Left out because their label is not in the public list. */
  readonly otherLabel: number
  /** Kept, but clipped to maxWords or maxChars. */
  readonly clipped: number
  readonly texts: number
  readonly clients: number
}

const placeholder = '[OwnerCounts]'

export class OwnerCounts {
  readonly #counts: Counts

  constructor(counts: Counts) {
    this.#counts = { ...counts }
  }

  /** The exact counts. Only for what the owner sees on the own terminal: never an event, an artefact or a message. */
  revealToOwner(): Counts {
    return this.#counts
  }

  toJSON(): string {
    return placeholder
  }
  toString(): string {
    return placeholder
  }
  [inspect.custom](): string {
    return placeholder
  }
}

const grouped = (n: number): string => n.toLocaleString('en-US')

/** A line such as "1,000 rows: 990 texts of 120 clients; left out: 10 too short". For the owner's terminal alone. */
export function formatOwnerCounts(counts: OwnerCounts): string {
  const c = counts.revealToOwner()
  const leftOut = [
    [c.badRows, 'bad rows'],
    [c.tooShort, 'too short'],
    [c.otherLabel, 'with a label that is not in the list'],
  ] as const
  const parts = leftOut.filter(([n]) => n > 0).map(([n, why]) => `${grouped(n)} ${why}`)
  const lines = [`${grouped(c.rows)} rows: ${grouped(c.texts)} texts of ${grouped(c.clients)} clients`]
  if (parts.length > 0) lines.push(`left out: ${parts.join(', ')}`)
  if (c.clipped > 0) lines.push(`clipped: ${grouped(c.clipped)}`)
  return lines.join('; ')
}
