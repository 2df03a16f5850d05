// schemathesis in a Python environment of its own in the user's cache folder: made once, aside and renamed, by one process
// at a time. Undefined, with a line that says why, where it is not there and cannot be made.
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { installPackages, interpreterIn } from '../../src/finetune/install-packages.ts'
import { cacheFolder, offlineBy } from '../../src/models/cache-folder.ts'
import { withFolderLock } from '../../src/models/folder-lock.ts'

const PACKAGES = 'schemathesis==4.32.5\nhypothesis==6.170.15\ncryptography==50.0.2\n'

/** A Python that has schemathesis; programs in a folder that was renamed would not find theirs. */
export async function schemathesisPython(): Promise<string | undefined> {
  const name = createHash('sha256').update(PACKAGES).digest('hex').slice(0, 12)
  const folder = join(cacheFolder(process.env, process.platform, homedir()), 'schemathesis', name)
  const python = interpreterIn(folder)
  if (!existsSync(folder)) {
    try {
      const offline = offlineBy(process.env)
      if (offline !== undefined) throw new Error(`${offline} forbids to fetch it`)
      await withFolderLock(folder, { onWait() {} }, async (signal) => {
        if (existsSync(folder)) return
        const aside = `${folder}.part`
        await rm(aside, { recursive: true, force: true })
        await installPackages({
          base: 'python3',
          folder: aside,
          requirements: PACKAGES,
          env: process.env,
          signal,
        })
        await rename(aside, folder)
      })
    } catch (error) {
      console.warn(`SKIPPED: schemathesis is not there and could not be installed (${messageOf(error)})`)
      return undefined
    }
  }
  return python
}

function messageOf(error: unknown): string {
  return error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
}
