// The texts of a run, each behind its type, and the promise that consented clients are other people than private ones.
import type { LoadedConfig } from '../config/load.ts'
import { PretextError } from '../errors.ts'
import { requireDisjoint } from '../texts/disjoint.ts'
import type { ConsentedTexts, PrivateTexts, SimulationTexts } from '../texts/private-texts.ts'
import { readPublicTexts } from '../texts/public-texts.ts'
import { readTexts } from '../texts/read.ts'
import type { OwnerCounts } from '../texts/terminal.ts'

export interface Inputs {
  /** Undefined in a federation: there the texts stay with the clients. */
  readonly clients: PrivateTexts | SimulationTexts | undefined
  readonly consented: ConsentedTexts | undefined
  readonly publicTexts: readonly string[]
  /** Exact counts, for the owner's own terminal and nowhere else. */
  readonly ownerCounts: OwnerCounts | undefined
}

export async function readInputs({ config, path }: LoadedConfig, signal?: AbortSignal): Promise<Inputs> {
  const { data, privacy, evolution } = config
  const limits = { minWords: data.minWords, maxWords: data.maxWords }
  const options = (source: NonNullable<typeof data.private>) => {
    // Consented texts need no labels: their distance to the population is the same for all.
    const labels = source.label === undefined ? undefined : evolution.labels?.values
    return {
      ...limits,
      path: [source.path].flat().map(path),
      format: source.format,
      columns: {
        text: source.text,
        client: source.client,
        label: labels === undefined ? undefined : source.label,
      },
      unit: privacy.unit,
      labels,
      onBadRow: source.onBadRow,
      signal,
    }
  }
  const source = data.private
  const own =
    source === undefined
      ? undefined
      : data.simulation
        ? await readTexts({ ...options(source), kind: 'simulation' })
        : await readTexts({ ...options(source), kind: 'private' })
  if (own !== undefined && own.texts.clients < privacy.minimumClients) {
    throw new PretextError(
      `expected at least ${privacy.minimumClients} clients (privacy.minimumClients), got fewer; nothing was released`,
      {
        code: 'clients',
        hint: 'collect texts of more clients; a sum over few clients protects none of them well',
      },
    )
  }
  const consented =
    data.consented === undefined
      ? undefined
      : await readTexts({ ...options(data.consented), kind: 'consented' })
  if (own !== undefined && consented !== undefined) requireDisjoint(own, consented)
  const publicTexts =
    data.public === undefined ? [] : await readPublicTexts(path(data.public.path), data.public.text, limits)
  return {
    clients: own?.texts,
    consented: consented?.texts,
    publicTexts,
    ownerCounts: own?.terminalReport,
  }
}
