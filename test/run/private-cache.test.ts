// The cache of private embeddings: only where it was asked for, only for its owner, never inside what is shown to others.
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Embedder } from '../../src/embeddings/embedder.ts'
import { createHashingEmbedder } from '../../src/embeddings/hashing.ts'
import { openPrivateCache } from '../../src/embeddings/private-cache.ts'
import { leaks, leaksIn, runCli, sentence, workspace } from './workspace.ts'

const folderFor = () => mkdtemp(join(tmpdir(), 'cache-'))

function counting(dim = 512): Embedder & { calls: string[][] } {
  const real = createHashingEmbedder({ dim })
  const calls: string[][] = []
  return {
    ...real,
    calls,
    embed: (texts, options) => {
      calls.push([...texts])
      return real.embed(texts, options)
    },
  }
}

describe('the private cache', () => {
  it('keeps embeddings in a file of mode 0600, and finds them again', async () => {
    const path = join(await folderFor(), 'deep/cache')
    const first = counting()
    const cache = await openPrivateCache(path, first, [])
    const texts = [sentence(1), sentence(2), sentence(1)]
    const once = await cache.embedder.embed(texts)
    expect(once).toEqual(await createHashingEmbedder().embed(texts))
    // One text a call: an embedding depends on no other text.
    expect(first.calls).toEqual([[sentence(1)], [sentence(2)]])
    expect(existsSync(path)).toBe(false)
    await cache.save()
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await stat(dirname(path))).mode & 0o777).toBe(0o700)

    const second = counting()
    const again = await openPrivateCache(path, second, [])
    expect(await again.embedder.embed(texts)).toEqual(once)
    expect(second.calls).toEqual([])
    await again.embedder.embed([sentence(3)])
    await again.save()
    const third = counting()
    await (await openPrivateCache(path, third, [])).embedder.embed([...texts, sentence(3)])
    expect(third.calls).toEqual([])
  })

  it('never takes the embedding of another embedder', async () => {
    const path = join(await folderFor(), 'cache')
    const cache = await openPrivateCache(path, counting(), [])
    await cache.embedder.embed([sentence(1)])
    await cache.save()
    const other = counting(256)
    const m = await (await openPrivateCache(path, other, [])).embedder.embed([sentence(1)])
    expect(other.calls).toHaveLength(1)
    expect(m.dim).toBe(256)
  })

  it('holds no text and no plain hash, and names records by another key in every file', async () => {
    const folder = await folderFor()
    const contents: string[] = []
    for (const path of [join(folder, 'a'), join(folder, 'b')]) {
      const cache = await openPrivateCache(path, counting(), [])
      await cache.embedder.embed([sentence(1000, 'zebrafinchquartz44170')])
      await cache.save()
      const bytes = await readFile(path)
      for (const form of [bytes.toString('latin1'), bytes.toString('hex'), bytes.toString('base64')]) {
        expect(leaksIn(form)).toEqual([])
      }
      contents.push(bytes.toString('hex'))
    }
    const recordName = (hex: string) => hex.slice(2 * (29 + 32), 2 * (29 + 64))
    expect(recordName(contents[0] as string)).not.toBe(recordName(contents[1] as string))
  })

  it('is refused inside the run folder, also by a link', async () => {
    const folder = await folderFor()
    const run = join(folder, 'run')
    await mkdir(run)
    await symlink(run, join(folder, 'link'))
    for (const path of [join(run, 'cache'), join(run, 'x/y/cache'), join(folder, 'link/cache')]) {
      await expect(openPrivateCache(path, counting(), [run])).rejects.toThrow(
        `privacy.embeddingCache: expected a path outside ${run}, got ${path}`,
      )
    }
  })

  it('is refused where others may read it, or where it is something else', async () => {
    const path = join(await folderFor(), 'cache')
    const cache = await openPrivateCache(path, counting(), [])
    await cache.embedder.embed([sentence(1)])
    await cache.save()
    const whole = await readFile(path)
    await chmod(path, 0o640)
    await expect(openPrivateCache(path, counting(), [])).rejects.toThrow(
      `${path}: expected a file that only its owner may read (0600), got mode 0640`,
    )
    await chmod(path, 0o600)
    for (const content of [Buffer.from('my thesis'), whole.subarray(0, -3), whole.subarray(0, 70)]) {
      await writeFile(path, content)
      await expect(openPrivateCache(path, counting(), [])).rejects.toThrow(
        'expected a cache of private embeddings, got something else',
      )
    }
  })
})

describe('a run', () => {
  it('keeps private embeddings in memory unless a cache is named', async () => {
    const { folder, config, out } = await workspace()
    expect((await runCli(['generate', config, '--out', out], { cwd: folder })).code).toBe(0)
    const { code } = await runCli(
      ['generate', config, '--out', `${out}2`, '--set', 'privacy.embeddingCache=my.cache'],
      {
        cwd: folder,
      },
    )
    expect(code).toBe(0)
    expect((await stat(join(folder, 'my.cache'))).mode & 0o777).toBe(0o600)
    expect(leaks([], [folder])).toEqual([])
  })

  it('refuses a cache inside its own folder, before anything is charged', async () => {
    const { folder, config } = await workspace()
    for (const [out, place] of [
      ['one', 'one/cache'],
      ['two', 'runs/cache'],
    ] as const) {
      const { code, stderr } = await runCli(
        ['generate', config, '--out', out, '--set', `privacy.embeddingCache=${place}`],
        { cwd: folder },
      )
      expect(code).toBe(3)
      expect(stderr).toMatch(/privacy\.embeddingCache: expected a path outside /)
      expect(existsSync(join(folder, 'runs/ledgers/canaries.jsonl'))).toBe(false)
    }
  })
})
