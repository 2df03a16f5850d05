// The columns of a comparison: sets of texts, cut to one size; a column has several where corpora of several seeds are one
// thing. FID, MAUVE, precision, recall and distinct-n all depend on how many texts there are, so that unequal columns would
// compare sizes and not texts.
import { PretextError } from '../errors.ts'
import type { CorpusRow } from '../generate/writers/row.ts'
import type { Random } from '../random.ts'
import type { ColumnName } from '../report/evaluation-data.ts'

export interface TextColumn {
  readonly name: ColumnName
  /** One, or one for each seed. */
  readonly sets: readonly (readonly CorpusRow[])[]
}

export interface ComparedColumn {
  readonly name: ColumnName
  /** Texts that there are, in all sets. */
  readonly texts: number
  readonly sets: readonly (readonly CorpusRow[])[]
}

/** Every set cut to the size of the smallest, at most `most`, by a draw of its own. */
export function equalColumns(
  columns: readonly TextColumn[],
  most: number,
  random: Random,
): readonly ComparedColumn[] {
  const sizes = columns.flatMap(({ name, sets }) =>
    sets.map(({ length }) => {
      if (length > 0) return length
      throw new PretextError(`${name}: expected a set of at least one text, got an empty one`, {
        code: 'data',
        hint: 'generate it first',
      })
    }),
  )
  const size = Math.min(most, ...sizes)
  return columns.map(({ name, sets }) => ({
    name,
    texts: sets.reduce((sum, rows) => sum + rows.length, 0),
    sets: sets.map((rows, i) => random.fork('column', i === 0 ? name : `${name} ${i}`).sample(rows, size)),
  }))
}

/** Positions of the labels in the public list; undefined where a row has none of them. */
export function labelIndexes(rows: readonly CorpusRow[], labels: readonly string[]): (number | undefined)[] {
  const index = new Map(labels.map((label, i) => [label, i]))
  return rows.map(({ label }) => (label === undefined ? undefined : index.get(label)))
}
