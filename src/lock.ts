// One process at a time on a run folder or a ledger. A lock is left behind by kill -9; it goes stale by itself.
import { mkdir } from 'node:fs/promises'
import { lock } from 'proper-lockfile'
import { storageError } from './durable.ts'
import { PretextError } from './errors.ts'

const STALE_MS = 10_000

/**
 * Takes the lock of `folder` (a file `<name>.lock` beside its content) and returns its release. Waits a little longer
 * than a lock takes to go stale (`staleMs` without a sign of life), so that a run can be resumed at once after a crash.
 */
export async function takeLock(
  folder: string,
  name: string,
  options: { readonly waitMs?: number; readonly staleMs?: number } = {},
): Promise<() => Promise<void>> {
  const { staleMs = STALE_MS, waitMs = staleMs + 2000 } = options
  try {
    await mkdir(folder, { recursive: true })
    // One key for each lock: the library keeps them by this path, and a folder can hold several.
    const release = await lock(`${folder}/${name}`, {
      realpath: false,
      lockfilePath: `${folder}/${name}.lock`,
      stale: staleMs,
      update: STALE_MS / 5,
      // Called also where this process was only too busy to renew in time; releases are safe by the ledger's commits.
      onCompromised: () => {},
      retries: { retries: Math.ceil(waitMs / 500), minTimeout: 500, maxTimeout: 500 },
    })
    // One that was lost to another process in the meantime is not ours to release.
    return () =>
      release().catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ERELEASED') throw error
      })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ELOCKED') {
      throw new PretextError(`another pretext process is using ${folder}`, {
        code: 'locked',
        hint: 'wait for it to end, or choose another folder with --out',
        cause: error,
      })
    }
    throw storageError(error, folder)
  }
}
