// What a helper finds in its folder when it starts.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { openHelper } from '../../src/run/helper.ts'

it('without its keys, beside a store, is refused and not given other ones', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'helper-folder-'))
  const config = resolve(import.meta.dirname, '../../configs/two-server.yaml')
  const loaded = await loadConfig(config, { set: [`federation.helper.folder=${folder}`] })
  // A new one makes keys of its own; then it wants to know its leader.
  await expect(openHelper(loaded)).rejects.toThrow('expected federation.leader.identity, which is not set')
  await rm(join(folder, 'keys.json'))
  await writeFile(join(folder, 'store.db'), '')
  await expect(openHelper(loaded)).rejects.toThrow(
    `${join(folder, 'keys.json')}: expected the keys of the helper beside its store.db, found none`,
  )
})
