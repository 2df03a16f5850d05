// The coordinator that a config describes: its store, its guarantee, its address.
import { createHash } from 'node:crypto'
import type { LoadedConfig } from '../config/load.ts'
import { PretextError } from '../errors.ts'
import type { OnEvent } from '../events.ts'
import { trustedAggregation } from '../federation/aggregation/trusted.ts'
import { coordinatorApp } from '../federation/coordinator/app.ts'
import { type Coordinator, createCoordinator } from '../federation/coordinator/coordinator.ts'
import { type Listening, listen } from '../federation/coordinator/server.ts'
import { joinPage } from '../federation/page/serve-page.ts'
import { embeddedDatabase } from '../federation/stores/embedded.ts'
import { postgresDatabase } from '../federation/stores/postgres.ts'
import { sqlStore } from '../federation/stores/sql-store.ts'
import type { Store } from '../federation/stores/store.ts'
import { planNoise } from './noise.ts'
import { pageEmbedder } from './page-embedder.ts'
import type { OpenAggregation } from './two-server.ts'

export interface OpenCoordinator extends Listening {
  readonly coordinator: Coordinator
}

export function federationOf({ config, file }: LoadedConfig) {
  if (config.federation !== undefined) return config.federation
  throw new PretextError(`${file}: expected a federation section, got none`, {
    code: 'config',
    hint: 'configs/federated.yaml is an example; without clients of their own, "pretext generate" needs none',
  })
}

export async function openStore(loaded: LoadedConfig): Promise<Store> {
  const { store, postgresUrlEnv } = federationOf(loaded)
  if (postgresUrlEnv === undefined) {
    const { output, name } = loaded.config
    return sqlStore(await embeddedDatabase(loaded.path(store ?? `${output.folder}/federation/${name}.db`)))
  }
  const url = process.env[postgresUrlEnv]
  if (url === undefined || url === '') {
    throw new PretextError(`expected the address of PostgreSQL in ${postgresUrlEnv}, which is not set`, {
      code: 'config',
      hint: `export ${postgresUrlEnv}=postgres://user:password@host/database`,
    })
  }
  return sqlStore(await postgresDatabase(url))
}

/** Opens the store and listens; `port` overrides the config's. A replica leaves it to the process with the rounds to reopen. */
export async function openCoordinator(
  loaded: LoadedConfig,
  options: {
    readonly onEvent?: OnEvent
    readonly port?: number
    readonly replica?: boolean
    /** Ends what waits for the helper. */
    readonly signal?: AbortSignal
  } = {},
): Promise<OpenCoordinator> {
  const federation = federationOf(loaded)
  const { config, path } = loaded
  const { privacy, evolution } = config
  const store = await openStore(loaded)
  let own: OpenAggregation = { aggregation: trustedAggregation, close: async () => {} }
  try {
    if (federation.mode === 'two-server') {
      // Loaded here: trusted mode knows nothing of shares.
      const { openTwoServer } = await import('./two-server.ts')
      own = await openTwoServer(loaded, store, options)
    }
    if (options.replica !== true) await store.reopen()
    const token = process.env[federation.operatorTokenEnv] ?? ''
    const coordinator = await createCoordinator({
      store,
      aggregation: own.aggregation,
      name: config.name,
      privacy: {
        epsilon: planNoise(config).epsilon,
        delta: privacy.delta,
        unit: 'client',
        adjacency: privacy.adjacency,
        rounds: evolution.rounds,
        minimumCohort: privacy.minimumClients,
      },
      labels: evolution.labels?.values ?? null,
      pollSeconds: federation.pollSeconds,
      publicCohort: federation.publicCohort,
      ...(token === '' ? {} : { operatorTokenHash: createHash('sha256').update(token).digest('hex') }),
      ...(options.onEvent === undefined ? {} : { onEvent: options.onEvent }),
    })
    const { tls } = federation
    const app = coordinatorApp(coordinator).route('/join', joinPage({ embedder: () => pageEmbedder(loaded) }))
    const listening = await listen(app, coordinator, {
      host: federation.host,
      port: options.port ?? federation.port,
      ...(tls === undefined ? {} : { tls: { certificate: path(tls.certificate), key: path(tls.key) } }),
    })
    return {
      coordinator,
      url: listening.url,
      async close() {
        await listening.close()
        await own.close()
        await store.close()
      },
    }
  } catch (error) {
    await own.close()
    await store.close()
    throw error
  }
}
