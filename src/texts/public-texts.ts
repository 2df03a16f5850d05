// Public texts: the initial population and whatever else may be shown to anyone. Plain strings, each once.
import { PretextError } from '../errors.ts'
import { collectBadRows } from './bad-rows.ts'
import { emptyFile, fileSize } from './bytes.ts'
import { formatOfPath, placeOf, type TextFormat, textRows } from './source.ts'
import { atLeastWords, limitText, type TextLimits } from './words.ts'

export interface PublicTextsOptions extends TextLimits {
  /** By the ending of the path where it is not given. */
  readonly format?: TextFormat | undefined
}

/** The texts of a column in the order of the file, within the limits and without repetitions. */
export async function readPublicTexts(
  path: string,
  column: string,
  options: PublicTextsOptions = {},
): Promise<string[]> {
  await fileSize(path)
  const format = options.format ?? formatOfPath(path)
  const texts = new Set<string>()
  const badRows = collectBadRows()
  let rows = 0
  for await (const row of textRows(path, format, { text: column })) {
    rows++
    if ('problem' in row) {
      badRows.add(placeOf(path, format, row.line), row.problem)
      continue
    }
    const { text } = limitText(row.text, options)
    if (text !== undefined) texts.add(text)
  }
  const error = badRows.error()
  if (error !== undefined) throw error
  if (rows === 0) throw emptyFile(path)
  if (texts.size === 0)
    throw new PretextError(
      `${path}: expected texts with ${atLeastWords(options.minWords)}, got no such text`,
      { code: 'data', hint: 'check the column name and minWords' },
    )
  return [...texts]
}
