// The real texts of an evaluation, client by client. Only consented texts and those of a declared simulation come in here:
// the compiler and `kind` refuse private ones.
import { PretextError } from '../errors.ts'
import type { Random } from '../random.ts'
import type { ConsentedTexts, SimulationTexts } from '../texts/private-texts.ts'
import { groupBy } from './group.ts'

export interface ReferenceRow {
  /** Number of the client; it says nothing of who that is. */
  readonly client: number
  readonly text: string
  /** Index into the public list of labels. */
  readonly label?: number
}

export function referenceRows(
  texts: ConsentedTexts | SimulationTexts,
  options: { readonly labelled: boolean },
): ReferenceRow[] {
  if (texts.kind !== 'consented' && texts.kind !== 'simulation') {
    throw new PretextError('expected consented texts or those of a simulation, got private ones', {
      code: 'unexpected',
    })
  }
  return Array.from({ length: texts.clients }, (_, client) => {
    const own = texts.read(client)
    return own.texts.map((text, i) => ({
      client,
      text,
      ...(options.labelled ? { label: own.labels[i] as number } : {}),
    }))
  }).flat()
}

/** Whole clients, in random order, until there are `most` texts; all of them where there are no more. */
export function sampleClients(
  rows: readonly ReferenceRow[],
  most: number,
  random: Random,
): readonly ReferenceRow[] {
  if (rows.length <= most) return rows
  const byClient = groupBy(rows, (row) => row.client)
  const taken: ReferenceRow[] = []
  for (const client of random.sample([...byClient.keys()], byClient.size)) {
    if (taken.length >= most) break
    taken.push(...(byClient.get(client) as ReferenceRow[]))
  }
  return taken
}
