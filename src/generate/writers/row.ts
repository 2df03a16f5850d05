// A row of the corpus, and the check that every writer makes before it writes one.
import { PretextError } from '../../errors.ts'

export interface CorpusRow {
  readonly text: string
  readonly label?: string
}

export type CorpusRows = Iterable<CorpusRow> | AsyncIterable<CorpusRow>

export interface CheckedRows {
  /** Whether there is a label column: the first row decides. */
  readonly labelled: boolean
  readonly rows: AsyncGenerator<CorpusRow>
}

/** UTF-8 cannot hold half a surrogate pair; it is shown as U+FFFD in every format alike. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd')
}

function checked(row: CorpusRow, number: number): CorpusRow {
  const { text, label } = (row ?? {}) as { text?: unknown; label?: unknown }
  if (typeof text !== 'string') {
    throw new PretextError(`row ${number}: expected a "text" that is a string, got ${typeof text}`, {
      code: 'data',
      hint: 'A corpus has one {"text": ..., "label"?: ...} in each row.',
    })
  }
  if (label !== undefined && typeof label !== 'string') {
    throw new PretextError(
      `row ${number}: expected a "label" that is a string or absent, got ${typeof label}`,
      {
        code: 'data',
      },
    )
  }
  return { text: wellFormed(text), ...(label === undefined ? {} : { label: wellFormed(label) }) }
}

/** The rows, checked as they pass. A row with a label after a first row without one is an error: it has no column. */
export async function checkRows(source: CorpusRows): Promise<CheckedRows> {
  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  const first = await iterator.next()
  const labelled = !first.done && checked(first.value, 1).label !== undefined
  async function* rows(): AsyncGenerator<CorpusRow> {
    try {
      let number = 1
      for (let next = first; !next.done; next = await iterator.next()) {
        const row = checked(next.value, number)
        if (row.label !== undefined && !labelled) {
          throw new PretextError(`row ${number}: expected no label, as in row 1, got one`, {
            code: 'data',
            hint: 'Give every row a label, or none.',
          })
        }
        yield row
        number++
      }
    } finally {
      await iterator.return?.()
    }
  }
  return { labelled, rows: rows() }
}
