// What a coordinator is made of, opened once and shared by its HTTP side and its rounds.
import { PretextError } from '../../errors.ts'
import type { OnEvent } from '../../events.ts'
import type { Aggregation } from '../aggregation/aggregation.ts'
import { type Clock, systemClock } from '../clock.ts'
import { type Manifest, parseManifest } from '../protocol/manifest.ts'
import type { Task } from '../protocol/messages.ts'
import type { Store } from '../stores/store.ts'
import { type GroupVotes, groupVotes } from './group-votes.ts'

export interface CoordinatorOptions {
  readonly store: Store
  readonly aggregation: Aggregation
  /** Name and guarantee, for /v1/task and the status page. */
  readonly name: string
  readonly privacy: Task['privacy']
  readonly labels: Task['labels']
  /** Seconds after which a client looks again. */
  readonly pollSeconds: number
  /** Whether the numbers of clients may be shown. */
  readonly publicCohort: boolean
  /** sha256 of the operator's token; without one nobody can pause, resume, drain or add tokens over HTTP. */
  readonly operatorTokenHash?: string
  readonly clock?: Clock
  readonly onEvent?: OnEvent
}

export interface Coordinator extends Omit<CoordinatorOptions, 'clock'> {
  readonly task: string
  readonly clock: Clock
  readonly votes: GroupVotes
  /** The manifest of a round that this store knows. */
  manifest(hash: string): Promise<Manifest | undefined>
}

/** The manifest where it is one of the version that is spoken here: of the others no client can take part in. */
export function spokenManifest({ manifest }: Coordinator, hash: string): Promise<Manifest | undefined> {
  return manifest(hash).catch((error: unknown) => {
    if (error instanceof PretextError) return undefined
    throw error
  })
}

const MANIFESTS_HELD = 64

export async function createCoordinator(options: CoordinatorOptions): Promise<Coordinator> {
  const { store } = options
  const held = new Map<string, Manifest>()
  return {
    ...options,
    task: await store.task(),
    clock: options.clock ?? systemClock,
    votes: groupVotes(store),
    async manifest(hash) {
      const known = held.get(hash)
      if (known !== undefined) return known
      if ((await store.round(hash)) === undefined) return undefined
      const bytes = await store.blob(hash)
      if (bytes === undefined) return undefined
      const manifest = parseManifest(bytes, hash)
      if (held.size >= MANIFESTS_HELD) held.delete(held.keys().next().value as string)
      held.set(hash, manifest)
      return manifest
    },
  }
}
