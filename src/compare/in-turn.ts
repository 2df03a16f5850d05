// Parts of a comparison that several processes may share: each is done by one of them at a time, and one that another process
// has begun is left for later. `once` (unit.ts) then finds what the other has done. A process that was killed leaves nothing
// behind: its lock goes stale, and the part goes on elsewhere.
import { setTimeout as sleep } from 'node:timers/promises'
import { PretextError } from '../errors.ts'
import { takeLock } from '../lock.ts'

const LOOK_AGAIN_MS = 1000
// Longer than the calibration of an arm's noise keeps a busy process from saying that it lives.
const STALE_MS = 30_000

/** What `work` gives for each part, in their order; `name` says the lock of a part in `folder`. Throws where `work` does. */
export async function inTurn<P, R>(
  parts: readonly P[],
  { folder, name, signal }: { folder: string; name: (part: P) => string; signal?: AbortSignal | undefined },
  work: (part: P, index: number) => Promise<R>,
): Promise<R[]> {
  const results = new Map<number, R>()
  while (true) {
    for (const [index, part] of parts.entries()) {
      if (results.has(index)) continue
      const unlock = await lockNow(folder, name(part).replaceAll('/', '-'))
      if (unlock === undefined) continue
      try {
        results.set(index, await work(part, index))
      } finally {
        await unlock()
      }
    }
    if (results.size === parts.length) return parts.map((_, index) => results.get(index) as R)
    await sleep(LOOK_AGAIN_MS, undefined, { ...(signal === undefined ? {} : { signal }) })
  }
}

/** undefined where another process has it. */
async function lockNow(folder: string, name: string): Promise<(() => Promise<void>) | undefined> {
  try {
    return await takeLock(folder, name, { waitMs: 0, staleMs: STALE_MS })
  } catch (error) {
    if (error instanceof PretextError && error.code === 'locked') return undefined
    throw error
  }
}
