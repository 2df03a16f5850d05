// The data of a corpus audit: a simulation data set as rows, the same with canaries, and the config of a run on it.
import type { LoadedConfig } from '../config/load.ts'
import { PretextError } from '../errors.ts'
import { readInputs } from '../run/inputs.ts'
import type { ClientRow } from './canaries.ts'

const CANARY_WORDS = 24

/** Throws PretextError unless the texts were declared free for experiments, in so many words. */
export function requireSimulation({ config }: LoadedConfig): void {
  if (!config.data.simulation) {
    throw new PretextError(
      'audit --corpus attacks the texts themselves: expected data.simulation: true, got private texts',
      {
        code: 'config',
        hint: 'declare texts free for experiments with data.simulation: true, or audit the noise path alone (without --corpus)',
      },
    )
  }
  if (config.data.private === undefined || config.federation !== undefined) {
    throw new PretextError('audit --corpus expects texts in this process, got a federation', {
      code: 'config',
      hint: 'name the simulation texts in data.private and leave federation out',
    })
  }
}

/** All texts with their clients, as they come out of the limits of the config. */
export async function simulationRows(loaded: LoadedConfig, signal?: AbortSignal): Promise<ClientRow[]> {
  const { clients } = await readInputs(withoutConsented(loaded), signal)
  if (clients === undefined || clients.kind !== 'simulation') throw new TypeError('expected simulation texts')
  const names = loaded.config.evolution.labels?.values
  return Array.from({ length: clients.clients }, (_, i) => {
    const { texts, labels } = clients.read(i)
    return texts.map((text, t): ClientRow => {
      const label = names?.[labels[t] as number]
      return { client: `client-${i}`, text, ...(label === undefined ? {} : { label }) }
    })
  }).flat()
}

/** JSON lines: a canary's client has it as often as a client may vote, so that nothing of its vote is left unused. */
export function rowsWithCanaries(
  rows: readonly ClientRow[],
  canaries: readonly ClientRow[],
  { config }: LoadedConfig,
): string {
  const times = config.privacy.unit === 'record' ? 1 : config.histogram.maxTextsPerClient
  const copies = canaries.flatMap((canary) => Array.from({ length: times }, () => canary))
  return [...rows, ...copies].map((row) => `${JSON.stringify(row)}\n`).join('')
}

/** Words of a canary, within every limit that texts of this config have. */
export function canaryWords({ config }: LoadedConfig): number {
  const { data, generate, evolution } = config
  const most = Math.min(data.maxWords, generate.maxWords, evolution.variation.maxWords)
  return Math.min(most, Math.max(CANARY_WORDS, data.minWords, generate.minWords))
}

/** The config of one run: the same, on these texts and with a ledger of the audit's own. */
export function runConfig(loaded: LoadedConfig, texts: string, out: string, name: string): LoadedConfig {
  const { config } = withoutConsented(loaded)
  const { budget: _budget, ...privacy } = config.privacy
  const label = config.evolution.labels === undefined ? {} : { label: 'label' }
  const columns = { text: 'text', client: 'client', ...label }
  return {
    ...loaded,
    config: {
      ...config,
      name,
      data: { ...config.data, private: { path: texts, format: 'jsonl', onBadRow: 'error', ...columns } },
      privacy: { ...privacy, ledger: `${out}/ledger.jsonl` },
      output: { ...config.output, folder: out },
    },
  }
}

/** Nothing of an audit is shown to consented clients, and their distances cost time. */
function withoutConsented(loaded: LoadedConfig): LoadedConfig {
  const { consented: _consented, ...data } = loaded.config.data
  return { ...loaded, config: { ...loaded.config, data } }
}
