// The helper that a config describes: the second operator's process, with keys, database, ledger and releases of its own. What
// it agrees to is read from its own config by the functions that the coordinator uses.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { LoadedConfig } from '../config/load.ts'
import { readIfThere } from '../durable.ts'
import { PretextError } from '../errors.ts'
import type { OnEvent } from '../events.ts'
import { scheduled } from '../evolution/population.ts'
import { type Listening, listen } from '../federation/coordinator/server.ts'
import type { AgreedTerms } from '../federation/helper/agreed-terms.ts'
import { helperApp } from '../federation/helper/app.ts'
import { helperRounds } from '../federation/helper/helper-rounds.ts'
import { helperStore } from '../federation/helper/helper-store.ts'
import type { AggregatorIdentity } from '../federation/protocol/aggregator.ts'
import { helperName } from '../federation/protocol/signing.ts'
import { embeddedDatabase } from '../federation/stores/embedded.ts'
import { openKeyRing } from '../federation/verification/aggregator-keys.ts'
import { takeLock } from '../lock.ts'
import type { LedgerTerms } from '../privacy/ledger.ts'
import { federationOf } from './coordinator.ts'
import { agreedBefore, type FederatedConfig } from './federated-votes.ts'
import { exists } from './folder.ts'
import { planNoise } from './noise.ts'
import { pageEmbedder } from './page-embedder.ts'
import { helperFolder, noiseOfServers, openVerifiers, otherIdentity } from './two-server.ts'

const TIDY_MS = 3_600_000

export interface OpenHelper extends Listening {
  readonly identity: AggregatorIdentity
}

export function helperKeyFile(loaded: LoadedConfig): string {
  return join(helperFolder(loaded), 'keys.json')
}

/** Opens the helper's folder and listens; `port` overrides the config's. */
export async function openHelper(
  loaded: LoadedConfig,
  options: { readonly onEvent?: OnEvent; readonly port?: number } = {},
): Promise<OpenHelper> {
  const federation = federationOf(loaded)
  if (federation.mode !== 'two-server') {
    throw new PretextError(`${loaded.file}: expected federation.mode two-server, got ${federation.mode}`, {
      code: 'config',
      hint: 'a helper is the second server of a two-server federation; configs/two-server.yaml is an example',
    })
  }
  const folder = helperFolder(loaded)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const unlock = await takeLock(folder, 'helper')
  try {
    await checkKept(loaded)
    const keys = await openKeyRing(helperKeyFile(loaded))
    const { identity } = await keys.current()
    const leader = otherIdentity(loaded, 'leader', identity)
    const agreed = await agreedTerms(loaded, leader, identity)
    const store = await helperStore(await embeddedDatabase(join(folder, 'store.db')))
    const verifiers = openVerifiers(loaded)
    const close = async () => {
      await verifiers.close()
      await store.close()
    }
    try {
      const rounds = helperRounds({
        store,
        keys,
        leader,
        agreed,
        verifiers,
        releases: join(folder, 'releases'),
        ledger: join(folder, 'ledger.jsonl'),
        terms: helperTerms(loaded),
      })
      // A leader that left for good shows no further round.
      await rounds.tidy()
      const tidying = setInterval(() => void rounds.tidy().catch(() => {}), TIDY_MS).unref()
      const { onEvent } = options
      const name = helperName(identity.text)
      const app = helperApp({ rounds, keys, leader, name, ...(onEvent === undefined ? {} : { onEvent }) })
      const { host, port, tls } = federation.helper ?? { host: '127.0.0.1', port: 8788 }
      const listening = await listen(
        app,
        { votes: rounds },
        {
          host,
          port: options.port ?? port,
          ...(tls === undefined
            ? {}
            : { tls: { certificate: loaded.path(tls.certificate), key: loaded.path(tls.key) } }),
        },
      )
      return {
        identity,
        url: listening.url,
        async close() {
          clearInterval(tidying)
          await listening.close()
          await close()
          await unlock()
        },
      }
    } catch (error) {
      await close()
      throw error
    }
  } catch (error) {
    await unlock()
    throw error
  }
}

/** A helper that lost its keys would come back as another one, and nobody would know why it is not heard. */
async function checkKept(loaded: LoadedConfig): Promise<void> {
  const folder = helperFolder(loaded)
  const keys = helperKeyFile(loaded)
  if ((await readIfThere(keys)) !== undefined || !(await exists(join(folder, 'store.db')))) return
  throw new PretextError(`${keys}: expected the keys of the helper beside its store.db, found none`, {
    code: 'storage',
    hint: 'restore the file from a copy; with other keys it is another helper, which starts in an empty federation.helper.folder',
  })
}

async function agreedTerms(
  loaded: LoadedConfig,
  leader: AggregatorIdentity,
  helper: AggregatorIdentity,
): Promise<AgreedTerms> {
  const config: FederatedConfig = { ...loaded.config, federation: federationOf(loaded) }
  const { evolution, federation } = config
  return {
    ...agreedBefore(config, planNoise(config).mechanism),
    rounds: evolution.rounds,
    candidates: (round) => scheduled(evolution.population, round),
    embedder: { ...(await pageEmbedder(loaded)).identity },
    labels: evolution.labels?.values ?? null,
    aggregation: {
      mode: 'two-server',
      leader: leader.text,
      helper: helper.text,
      multiproof: federation.multiproof,
      noise: noiseOfServers(loaded),
    },
  }
}

/** Rounding of an epsilon that is computed in two ways. */
const MARGIN = 1 + 1e-9

/** What the helper's ledger holds the leader to: its operator's budget, or else one run of this config. */
export function helperBudget(loaded: LoadedConfig): NonNullable<LedgerTerms['budget']> {
  const { privacy } = loaded.config
  const { noise } = federationOf(loaded)
  const epsilon = planNoise(loaded.config).epsilonOfOne(noise) * MARGIN
  return privacy.budget ?? { epsilon, delta: privacy.delta }
}

function helperTerms(loaded: LoadedConfig): LedgerTerms {
  const { data, privacy } = loaded.config
  return {
    dataset: data.dataset,
    unit: privacy.unit,
    adjacency: privacy.adjacency,
    budget: helperBudget(loaded),
  }
}
