// The two operators of a two-server federation, as their configs describe them: where each keeps its keys, and how the
// coordinator reaches the helper.
import { availableParallelism } from 'node:os'
import type { LoadedConfig } from '../config/load.ts'
import { PretextError } from '../errors.ts'
import type { OnEvent } from '../events.ts'
import type { Aggregation } from '../federation/aggregation/aggregation.ts'
import { helperConnection } from '../federation/aggregation/helper-connection.ts'
import { twoServerAggregation } from '../federation/aggregation/two-server.ts'
import { type AggregatorIdentity, parseIdentity } from '../federation/protocol/aggregator.ts'
import type { Store } from '../federation/stores/store.ts'
import { openKeyRing } from '../federation/verification/aggregator-keys.ts'
import { ownThread, type Verifiers } from '../federation/verification/verifiers.ts'
import { workerVerifiers } from '../federation/verification/worker-verifiers.ts'
import { voteBound } from '../histogram/bound.ts'
import { sigmaOfEach } from '../histogram/noise.ts'
import type { NoiseOfEach } from '../privacy/two-parties.ts'
import { sensitivityFactor } from '../privacy/units.ts'
import { federationOf } from './coordinator.ts'
import { voteOptions } from './local-steps.ts'
import { planNoise } from './noise.ts'

const MOST_THREADS = 4

/** Where the coordinator keeps its keys. */
export function coordinatorKeyFile(loaded: LoadedConfig): string {
  const { identity } = federationOf(loaded)
  const { output, name } = loaded.config
  return loaded.path(identity ?? `${output.folder}/federation/${name}.keys.json`)
}

/** Where the helper keeps everything. */
export function helperFolder(loaded: LoadedConfig): string {
  const { helper } = federationOf(loaded)
  const { output, name } = loaded.config
  return loaded.path(helper?.folder ?? `${output.folder}/helper/${name}`)
}

/** `who` must be another operator than the one that reads its config. */
export function otherIdentity(
  loaded: LoadedConfig,
  who: 'leader' | 'helper',
  own: AggregatorIdentity,
): AggregatorIdentity {
  const text = federationOf(loaded)[who]?.identity
  const command = who === 'helper' ? 'pretext helper' : 'pretext serve'
  if (text === undefined) {
    throw new PretextError(`${loaded.file}: expected federation.${who}.identity, which is not set`, {
      code: 'config',
      hint: `its operator prints it with "${command} CONFIG --identity"; yours is ${own.text}`,
    })
  }
  if (text === own.text) {
    throw new PretextError(`${loaded.file}: federation.${who}.identity is this server’s own`, {
      code: 'config',
      hint: 'two servers of one operator hide nothing from it: the second one must be somebody else’s',
    })
  }
  return parseIdentity(text)
}

/** How much noise each server adds. Throws PretextError `config` where halves would be too small to count together. */
export function noiseOfServers(loaded: LoadedConfig): NoiseOfEach {
  const { histogram, privacy } = loaded.config
  const { noise } = federationOf(loaded)
  const { mechanism } = planNoise(loaded.config)
  const factor = sensitivityFactor(privacy.adjacency, 'non-negative')
  const bound = voteBound(voteOptions({ histogram, privacy }))
  if (mechanism.type === 'gaussian') sigmaOfEach(mechanism.noiseMultiplier, factor, bound, noise)
  return noise
}

export function openVerifiers(loaded: LoadedConfig): Verifiers {
  const threads = federationOf(loaded).verifiers ?? Math.min(MOST_THREADS, availableParallelism())
  return threads === 0 ? ownThread() : workerVerifiers(threads)
}

export interface OpenAggregation {
  readonly aggregation: Aggregation
  close(): Promise<void>
}

/** The leader's aggregation; the helper need not be there yet. */
export async function openTwoServer(
  loaded: LoadedConfig,
  store: Store,
  { onEvent, signal }: { readonly onEvent?: OnEvent; readonly signal?: AbortSignal } = {},
): Promise<OpenAggregation> {
  const { helper, multiproof } = federationOf(loaded)
  const keys = await openKeyRing(coordinatorKeyFile(loaded))
  const helperIdentity = otherIdentity(loaded, 'helper', (await keys.current()).identity)
  const url = checkedUrl(loaded, helper?.url)
  const away = (why: string, seconds: number) =>
    onEvent?.({
      type: 'warning',
      message: `the helper did not answer (${why}); again in ${Math.ceil(seconds)} s`,
    })
  const stop = new AbortController()
  const stopped = signal === undefined ? stop.signal : AbortSignal.any([stop.signal, signal])
  const verifiers = openVerifiers(loaded)
  const aggregation = await twoServerAggregation({
    store,
    keys,
    helper: helperConnection({ url, identity: helperIdentity, keys, onRetry: away, signal: stopped }),
    helperIdentity,
    verifiers,
    multiproof,
    noise: noiseOfServers(loaded),
  })
  return {
    aggregation,
    async close() {
      stop.abort()
      await verifiers.close()
    },
  }
}

function checkedUrl({ file }: LoadedConfig, url: string | undefined): string {
  if (url === undefined) {
    throw new PretextError(`${file}: expected federation.helper.url, which is not set`, {
      code: 'config',
      hint: 'its operator knows the address; "pretext helper CONFIG" prints it',
    })
  }
  const { protocol, hostname } = URL.canParse(url) ? new URL(url) : { protocol: '', hostname: '' }
  const local = ['localhost', '127.0.0.1', '[::1]'].includes(hostname)
  if (protocol === 'https:' || (protocol === 'http:' && (local || process.env.PRETEXT_ALLOW_HTTP === '1')))
    return url
  throw new PretextError(`${file}: expected an https address in federation.helper.url, got ${url}`, {
    code: 'config',
    hint: 'PRETEXT_ALLOW_HTTP=1 allows plain http in a network of your own',
  })
}
