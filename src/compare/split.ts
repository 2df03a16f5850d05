// Which clients the arms learn from and which ones settings are chosen on: decided once, by a hash of what a client wrote, so
// that neither the order of the file nor another arm changes it. The evaluation clients are others again (data.consented).
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { LoadedConfig } from '../config/load.ts'
import { readIfThere, writeDurable } from '../durable.ts'
import { PretextError } from '../errors.ts'
import { groupBy } from '../evaluate/group.ts'
import { type ReferenceRow, referenceRows } from '../evaluate/reference.ts'
import { readInputs } from '../run/inputs.ts'

export interface Split {
  readonly clients: string
  readonly validation: string
  readonly counts: SplitCounts
  /** Of both files, and of the rows that figures are of. */
  readonly sha256: string
  /** The rows of `validation`, for the evaluator. */
  readonly chosenOn: readonly ReferenceRow[]
  /** Consented clients, whom no arm and no choice sees. */
  readonly evaluation: readonly ReferenceRow[]
}

export interface SplitCounts {
  readonly clients: number
  readonly texts: number
  readonly validationClients: number
  readonly validationTexts: number
  readonly evaluationClients: number
  readonly evaluationTexts: number
}

/** Reads the data of the base config, checks that all of it may be experimented on, and writes the two files once. */
export async function splitClients(
  loaded: LoadedConfig,
  folder: string,
  share: number,
  signal?: AbortSignal,
): Promise<Split> {
  const { config, file } = loaded
  if (!config.data.simulation) {
    throw new PretextError(
      `${file}: expected data.simulation: true, got private texts: arms see texts as no run of PrE-Text does`,
      {
        code: 'config',
        hint: 'only the owner can declare texts free for experiments, by data.simulation: true in the config',
      },
    )
  }
  const { clients, consented } = await readInputs(loaded, signal)
  if (clients?.kind !== 'simulation') {
    throw new PretextError(`${file}: expected clients in this process, got a federation`, { code: 'config' })
  }
  if (consented === undefined) {
    throw new PretextError(`${file}: expected consented texts to evaluate on (data.consented), got none`, {
      code: 'config',
      hint: 'name texts of other clients, or build them with the script of the data set',
    })
  }
  const labels = config.evolution.labels?.values
  const byClient = groupBy(referenceRows(clients, { labelled: labels !== undefined }), (row) => row.client)
  const sides: Record<'clients' | 'validation', ReferenceRow[][]> = { clients: [], validation: [] }
  for (const rows of byClient.values()) {
    sides[place(rows) < share ? 'validation' : 'clients'].push(rows)
  }
  for (const [side, all] of Object.entries(sides)) {
    if (all.length >= 2) continue
    throw new PretextError(`expected at least two ${side} clients after the split, got ${all.length}`, {
      code: 'clients',
      hint: 'use more clients, or another validationShare',
    })
  }
  const text = {
    clients: lines('c', sides.clients, labels),
    validation: lines('v', sides.validation, labels),
  }
  const evaluation = referenceRows(consented, { labelled: false })
  const sha256 = createHash('sha256')
    .update(`${text.clients}\n${text.validation}\n${JSON.stringify(evaluation)}`)
    .digest('hex')
  const counts: SplitCounts = {
    clients: sides.clients.length,
    texts: sides.clients.flat().length,
    validationClients: sides.validation.length,
    validationTexts: sides.validation.flat().length,
    evaluationClients: consented.clients,
    evaluationTexts: evaluation.length,
  }
  const files = {
    clients: join(folder, 'clients.jsonl'),
    validation: join(folder, 'validation.jsonl'),
  }
  const record = join(folder, 'split.json')
  const before = await readIfThere(record)
  const now = `${JSON.stringify({ format: 'pretext-split', version: 1, share, sha256, ...counts }, null, 2)}\n`
  if (before !== undefined && before !== now) {
    throw new PretextError(
      `${record}: this comparison was begun with other clients, validation clients or evaluation texts than there are now`,
      {
        code: 'config',
        hint: 'choose another output.folder, or put the old data and validationShare back',
      },
    )
  }
  if (before === undefined) {
    for (const side of ['clients', 'validation'] as const) await writeDurable(files[side], text[side])
    await writeDurable(record, now)
  }
  const chosenOn = sides.validation.flatMap((rows, client) => rows.map(({ text }) => ({ client, text })))
  return { ...files, counts, sha256, chosenOn, evaluation }
}

/** A number in [0, 1) that follows from the texts of a client alone. */
function place(rows: readonly ReferenceRow[]): number {
  const digest = createHash('sha256')
    .update(JSON.stringify(rows.map((row) => row.text)))
    .digest()
  return digest.readUInt32BE(0) / 2 ** 32
}

/** Ids of the two files differ, so that whoever reads both sees that nobody is in both. */
function lines(
  prefix: string,
  clients: readonly (readonly ReferenceRow[])[],
  labels: readonly string[] | undefined,
): string {
  return clients
    .flatMap((rows, client) =>
      rows.map((row) => {
        const label = row.label === undefined ? undefined : labels?.[row.label]
        const own = {
          client: `${prefix}${client}`,
          text: row.text,
          ...(label === undefined ? {} : { label }),
        }
        return `${JSON.stringify(own)}\n`
      }),
    )
    .join('')
}
