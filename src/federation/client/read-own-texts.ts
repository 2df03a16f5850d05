// The texts of one client, from a file in any of the formats that a run reads: all rows belong to whoever joins.

import { readTexts } from '../../texts/read.ts'
import type { TextFormat } from '../../texts/source.ts'
import type { OwnTexts } from './own-vote.ts'

export interface OwnTextsFile {
  readonly path: string
  readonly format?: TextFormat | undefined
  readonly text: string
  /** Column with the label; with it, the public list of labels. */
  readonly label?: { readonly column: string; readonly names: readonly string[] } | undefined
}

export async function readOwnTexts({ path, format, text, label }: OwnTextsFile): Promise<OwnTexts> {
  const { texts } = await readTexts({
    path,
    format,
    columns: { text, client: undefined, label: label?.column },
    unit: 'record',
    labels: label?.names,
    minClients: 1,
    kind: 'private',
  })
  const rows = Array.from({ length: texts.clients }, (_, i) => texts.read(i))
  const own = rows.flatMap((row) => row.texts)
  if (label === undefined) return { texts: own }
  return { texts: own, labels: rows.flatMap((row) => row.labels.map((l) => label.names[l] as string)) }
}
