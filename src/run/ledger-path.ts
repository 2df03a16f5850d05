// Where the ledger of a config's data set lies. Simulations have a ledger of their own, so that experiments neither spend
// nor hide what the real data spent.
import type { LoadedConfig } from '../config/load.ts'

export function ledgerPath({ config, path }: LoadedConfig): string {
  const { data, privacy, output } = config
  const suffix = data.simulation ? '.simulation' : ''
  if (privacy.ledger !== undefined) return `${path(privacy.ledger)}${suffix}`
  return path(`${output.folder}/ledgers/${data.dataset}${suffix}.jsonl`)
}
