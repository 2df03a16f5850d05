// A lock that another process took over, because its holder was too busy to renew it: who lost it releases nothing.
import { mkdtemp, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { takeLock } from '../../src/lock.ts'

it('a lock that was lost is released without a word, and stays with its new holder', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'lock-'))
  const release = await takeLock(folder, 'part')
  await expect(takeLock(folder, 'part', { waitMs: 0 })).rejects.toMatchObject({ code: 'locked' })
  // As if it had not been renewed for a minute; the holder finds out when it renews it, every two seconds.
  const before = new Date(Date.now() - 60_000)
  await utimes(join(folder, 'part.lock'), before, before)
  await sleep(4500)
  const other = await takeLock(folder, 'part')
  await expect(release()).resolves.toBeUndefined()
  await expect(takeLock(folder, 'part', { waitMs: 0 })).rejects.toMatchObject({ code: 'locked' })
  await other()
  await (await takeLock(folder, 'part', { waitMs: 0 }))()
})
