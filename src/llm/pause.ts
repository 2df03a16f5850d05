// Waiting that a signal ends.
import { setMaxListeners } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'

export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal === undefined) return wait(ms)
  // A hundred requests may wait on one signal; Node takes more than ten listeners for a leak and prints so.
  setMaxListeners(0, signal)
  await wait(ms, undefined, { signal })
}
