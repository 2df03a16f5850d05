// One process at a time fills a model's folder; the others wait and then find it filled. Unlike the lock of a run, a
// busy folder is no error: two runs that start together both want the same model.
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { lock } from 'proper-lockfile'
import { PretextError } from '../errors.ts'
import { cacheError } from './failures.ts'

const STALE_MS = 5000
const POLL_MS = 200

export interface LockOptions {
  readonly signal?: AbortSignal | undefined
  /** Called once, if another process holds the folder. */
  readonly onWait: () => void
}

/**
 * Runs `work` while holding `<folder>.lock`. The signal it is given is aborted when the caller's is, or when the lock was
 * lost (this process stood still for so long that another one took over): from then on nothing may be written.
 */
export async function withFolderLock<T>(
  folder: string,
  options: LockOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const lost = new AbortController()
  let release: (() => Promise<void>) | undefined
  for (let attempt = 0; release === undefined; attempt++) {
    options.signal?.throwIfAborted()
    try {
      await mkdir(dirname(folder), { recursive: true })
      release = await lock(folder, {
        realpath: false,
        stale: STALE_MS,
        update: STALE_MS / 5,
        onCompromised: (error) => lost.abort(lostLock(folder, error)),
      })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ELOCKED') throw cacheError(error, folder)
      if (attempt === 0) options.onWait()
      await sleep(POLL_MS, undefined, options.signal ? { signal: options.signal } : {})
    }
  }
  try {
    return await work(options.signal ? AbortSignal.any([options.signal, lost.signal]) : lost.signal)
  } finally {
    // A lost lock belongs to somebody else: there is nothing to give back.
    await release().catch(() => {})
  }
}

function lostLock(folder: string, cause: unknown): PretextError {
  return new PretextError(`the lock of ${folder} was taken over by another process`, {
    code: 'locked',
    hint: 'run again: what was downloaded is kept',
    cause,
  })
}
