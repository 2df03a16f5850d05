// Files to texts grouped by client. The kind says who may see them, and so which type comes out (design rule 4.1).
import { PretextError } from '../errors.ts'
import { collectBadRows } from './bad-rows.ts'
import { emptyFile, fileSize } from './bytes.ts'
import { type ColumnsBuilder, columnsBuilder } from './columns.ts'
import { ClientIds } from './disjoint.ts'
import { ConsentedTexts, PrivateTexts, SimulationTexts } from './private-texts.ts'
import type { ColumnNames, TextRow } from './row.ts'
import { formatOfPath, placeOf, type TextFormat, textRows } from './source.ts'
import { type Counts, OwnerCounts } from './terminal.ts'
import { atLeastWords, limitText, type TextLimits } from './words.ts'

/** `client`: rows with one id are one client. `record`: each text is its own client. */
export type PrivacyUnit = 'client' | 'record'
export type TextKind = 'private' | 'consented' | 'simulation'

export interface ReadTextsOptions extends TextLimits {
  readonly path: string | readonly string[]
  /** By the ending of each path where it is not given. */
  readonly format?: TextFormat | undefined
  readonly columns: ColumnNames
  readonly unit: PrivacyUnit
  /** The public list of labels; needed with a label column. A text with another label is left out. */
  readonly labels?: readonly string[] | undefined
  /** Fail on the first reading (default), or leave bad rows out and count them for the owner. */
  readonly onBadRow?: 'error' | 'skip' | undefined
  /** Fewer clients than this are refused. 2 by default, 1 for consented texts. */
  readonly minClients?: number | undefined
  readonly kind: TextKind
  readonly signal?: AbortSignal | undefined
}

export interface ReadTexts<T> {
  readonly texts: T
  readonly clientIds: ClientIds
  /** Exact counts, for the owner's own terminal only. */
  readonly terminalReport: OwnerCounts
}

type Of<K extends TextKind> = ReadTextsOptions & { readonly kind: K }

export function readTexts(options: Of<'private'>): Promise<ReadTexts<PrivateTexts>>
export function readTexts(options: Of<'consented'>): Promise<ReadTexts<ConsentedTexts>>
export function readTexts(options: Of<'simulation'>): Promise<ReadTexts<SimulationTexts>>
export async function readTexts(
  options: ReadTextsOptions,
): Promise<ReadTexts<PrivateTexts | ConsentedTexts | SimulationTexts>> {
  checkOptions(options)
  const files = await filesOf(options)
  const columns = options.unit === 'record' ? { ...options.columns, client: undefined } : options.columns
  const badRows = collectBadRows()
  const intake = textIntake(options, columnsBuilder(files.reduce((sum, file) => sum + file.bytes, 0)))
  let rows = 0
  for (const { path, format } of files) {
    const before = rows
    for await (const row of textRows(path, format, columns)) {
      options.signal?.throwIfAborted()
      rows++
      const problem = 'problem' in row ? row.problem : intake.take(row)
      if (problem !== undefined) badRows.add(placeOf(path, format, row.line), problem)
    }
    if (rows === before) throw emptyFile(path)
  }
  const error = options.onBadRow === 'skip' ? undefined : badRows.error()
  if (error !== undefined) throw error
  const { builder, clients, counts } = intake
  if (builder.texts === 0) throw nothingUsable(options)
  checkClients(clients(), options)
  const data = builder.finish(clients())
  const texts =
    options.kind === 'private'
      ? new PrivateTexts(data)
      : options.kind === 'consented'
        ? new ConsentedTexts(data)
        : new SimulationTexts(data)
  return {
    texts,
    clientIds: new ClientIds(intake.ids()),
    terminalReport: new OwnerCounts({ ...counts(), rows, badRows: badRows.count }),
  }
}

interface TextIntake {
  readonly builder: ColumnsBuilder
  /** The row's problem, where it has one. */
  take(row: TextRow): string | undefined
  clients(): number
  ids(): ReadonlyMap<string, unknown> | undefined
  counts(): Omit<Counts, 'rows' | 'badRows'>
}

/** Label, limits and client of each good row. */
function textIntake(options: ReadTextsOptions, builder: ColumnsBuilder): TextIntake {
  const labelIndex = options.labels && new Map(options.labels.map((label, i) => [label, i]))
  const ids = new Map<string, number>()
  let tooShort = 0
  let otherLabel = 0
  let clipped = 0
  const clients = (): number => (options.unit === 'record' ? builder.texts : ids.size)

  return {
    builder,
    take(row) {
      const label = labelIndex === undefined ? 0 : labelIndex.get(row.label ?? '')
      if (options.unit === 'client' && row.client === undefined)
        return 'expected {"client": ["text", ...]} for unit: client, got a text without a client'
      if (label === undefined) {
        otherLabel++
        return undefined
      }
      const limited = limitText(row.text, options)
      if (limited.text === undefined) {
        tooShort++
        return undefined
      }
      if (limited.clipped) clipped++
      let client = builder.texts
      if (options.unit === 'client') {
        const id = row.client as string
        client = ids.get(id) ?? ids.size
        if (client === ids.size) ids.set(id, client)
      }
      builder.add(limited.text, client, label)
      return undefined
    },
    clients,
    ids: () => (options.unit === 'record' ? undefined : ids),
    counts: () => ({ tooShort, otherLabel, clipped, texts: builder.texts, clients: clients() }),
  }
}

interface InputFile {
  readonly path: string
  readonly format: TextFormat
  readonly bytes: number
}

/** All files are looked at before the first is read, so that a wrong path costs no waiting. */
async function filesOf({ path, format }: ReadTextsOptions): Promise<InputFile[]> {
  const paths = typeof path === 'string' ? [path] : path
  const files: InputFile[] = []
  for (const each of paths)
    files.push({ path: each, bytes: await fileSize(each), format: format ?? formatOfPath(each) })
  return files
}

const configError = (message: string, hint: string): PretextError =>
  new PretextError(message, { code: 'config', hint })

function checkOptions({ path, format, columns, unit, labels }: ReadTextsOptions): void {
  if (path.length === 0) throw configError('expected at least one file of texts, got none', 'set the path')
  const paths = typeof path === 'string' ? [path] : path
  if (new Set(paths).size < paths.length)
    throw configError('expected each file of texts once, got one twice', 'name each file once')
  if (unit === 'client' && columns.client === undefined) {
    const keyed = paths.every((each) => (format ?? formatOfPath(each)) === 'json')
    if (!keyed)
      throw configError(
        'unit: client expects the name of the column with the client id, got none',
        'set columns.client, or unit: record where each text is from another person',
      )
  }
  if ((columns.label === undefined) !== (labels === undefined))
    throw configError(
      columns.label === undefined
        ? 'labels expects the name of the label column, got none'
        : `the label column "${columns.label}" expects the public list of its values, got none`,
      'set columns.label and labels together, or neither; the list must not be taken from the private texts',
    )
  if (labels === undefined) return
  if (labels.length === 0 || labels.length > 65_535 || new Set(labels).size < labels.length)
    throw configError(
      'labels expects a list of 1 to 65,535 different values, got an empty, longer or repeating one',
      'correct the list',
    )
}

function nothingUsable({ path, minWords, labels }: ReadTextsOptions): PretextError {
  const first = typeof path === 'string' ? path : path[0]
  const asked = [atLeastWords(minWords)]
  if (labels !== undefined) asked.push('a label from the list')
  return new PretextError(`${first}: expected texts with ${asked.join(' and ')}, got no such text`, {
    code: 'data',
    hint: 'check the column names, minWords and labels',
  })
}

/** The number that came is a private statistic: only the minimum is told. */
function checkClients(clients: number, { kind, minClients, unit }: ReadTextsOptions): void {
  const minimum = minClients ?? (kind === 'consented' ? 1 : 2)
  if (clients >= minimum) return
  throw new PretextError(`expected at least ${minimum} clients with a text, got fewer`, {
    code: 'clients',
    hint:
      unit === 'client'
        ? 'check that columns.client names the id of a person, or add clients'
        : 'add texts; with unit: record each text is a client',
  })
}
