// The release state machine under kill -9 at each of its moments, with real processes.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { cp, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { voteBound } from '../../src/histogram/bound.ts'
import { ExactVotes } from '../../src/histogram/exact-votes.ts'
import { readRelease, releaseHistogram } from '../../src/histogram/release.ts'
import { releaseOnce } from '../../src/histogram/release-once.ts'
import { chargesIn, readLedger } from '../../src/privacy/ledger.ts'

const child = join(import.meta.dirname, 'release-child.ts')
const run = (folder: string, moment: string) =>
  spawnSync(process.execPath, ['--import', 'tsx', child, folder, moment], { encoding: 'utf8' })
const folderFor = () => mkdtemp(join(tmpdir(), 'release-'))
const entries = async (folder: string) => chargesIn(await readLedger(join(folder, 'ledger.jsonl')))
const seen = async (folder: string) => JSON.parse(await readFile(join(folder, 'seen.json'), 'utf8'))

describe('release', () => {
  it('killed before the charge: nothing was spent, and the next try is a first one', async () => {
    const folder = await folderFor()
    expect(run(folder, 'counted').signal).toBe('SIGKILL')
    expect(await entries(folder)).toEqual([])
    expect(run(folder, 'never').status).toBe(0)
    expect(await seen(folder)).toMatchObject({ redrawn: false })
    expect(await entries(folder)).toHaveLength(1)
  })

  it('killed between charge and release: drawn again under the same charge, and said so', async () => {
    const folder = await folderFor()
    expect(run(folder, 'charged').signal).toBe('SIGKILL')
    expect(await entries(folder)).toHaveLength(1)
    expect(existsSync(join(folder, 'release.json'))).toBe(false)
    expect(existsSync(join(folder, 'seen.json'))).toBe(false)
    expect(run(folder, 'never').status).toBe(0)
    expect(await seen(folder)).toMatchObject({ redrawn: true })
    expect(await entries(folder)).toHaveLength(1)
    const release = await readRelease(join(folder, 'release.json'))
    expect(release?.charge).toBe((await entries(folder))[0]?.hash)
    expect(release?.redrawn).toBe(true)
  })

  it('killed after the release: the same bytes for ever, no second charge', async () => {
    const folder = await folderFor()
    expect(run(folder, 'released').signal).toBe('SIGKILL')
    const bytes = await readFile(join(folder, 'release.json'), 'utf8')
    const first = await seen(folder)
    for (let i = 0; i < 2; i++) {
      expect(run(folder, 'never').status).toBe(0)
      expect(await readFile(join(folder, 'release.json'), 'utf8')).toBe(bytes)
      expect((await seen(folder)).steps).toEqual(first.steps)
    }
    expect(await entries(folder)).toHaveLength(1)
  })

  it('charges nothing for noise that cannot be drawn', async () => {
    const folder = await folderFor()
    const bound = voteBound({ mode: 'normalised', maxTextsPerClient: 1, neighbours: 1 })
    const ledger = join(folder, 'ledger.jsonl')
    await expect(
      releaseHistogram({
        file: join(folder, 'release.json'),
        ledger,
        terms: { dataset: 'd', unit: 'client', adjacency: 'add-remove' },
        charge: { run: 'r', release: 'round-1', mechanism: { type: 'gaussian', noiseMultiplier: 1e9 } },
        count: async () => new ExactVotes(4, bound, false),
      }),
    ).rejects.toThrow(
      'expected noise below 67108864 votes, got a noise multiplier of 1000000000 on an L2 bound of 1 votes',
    )
    expect(existsSync(ledger)).toBe(false)
  })

  it('is written only if it can be read back, with the charge that paid for it; else the charge pays for the next try', async () => {
    const folder = await folderFor()
    const [file, ledger] = [join(folder, 'release.json'), join(folder, 'ledger.jsonl')]
    const once = (text: (charge: string) => string) =>
      releaseOnce({
        file,
        ledger,
        terms: { dataset: 'd', unit: 'client', adjacency: 'add-remove' },
        charge: { run: 'r', release: 'round-1', mechanism: { type: 'gaussian', noiseMultiplier: 2 } },
        parse: (written) => JSON.parse(written) as { charge: string },
        prepare: async () => (paid) => text(paid.entry.hash),
      })
    for (const text of [() => 'torn {', () => JSON.stringify({ charge: 'of another' })]) {
      await expect(once(text)).rejects.toThrow('expected a release that can be read back')
      expect([existsSync(file), existsSync(`${file}.part`)]).toEqual([false, false])
      expect((await readLedger(ledger)).map(({ type }) => type)).toEqual(['charge'])
    }
    await once((charge) => JSON.stringify({ charge }))
    expect((await readLedger(ledger)).map(({ type }) => type)).toEqual(['charge', 'commit'])
  })

  it('leaves no second file from which a lost draw could be read', async () => {
    const folder = await folderFor()
    run(folder, 'charged')
    run(folder, 'never')
    expect(readdirSync(folder).filter((name) => name.startsWith('release'))).toEqual(['release.json'])
  })

  it('killed between commit and rename: published as it was drawn', async () => {
    const folder = await folderFor()
    run(folder, 'never')
    const file = join(folder, 'release.json')
    const bytes = await readFile(file, 'utf8')
    await rename(file, `${file}.part`)
    expect(run(folder, 'never').status).toBe(0)
    expect(await readFile(file, 'utf8')).toBe(bytes)
  })

  it('is never made a second time under one charge: not after its file was deleted, not in a copy of the folder', async () => {
    const folder = await folderFor()
    run(folder, 'charged')
    const copy = await folderFor()
    await cp(folder, copy, { recursive: true })
    // The copy shares the ledger, as runs of one data set do.
    await rm(join(copy, 'ledger.jsonl'))
    await rm(join(copy, 'ledger.jsonl.head'))
    await symlink(join(folder, 'ledger.jsonl'), join(copy, 'ledger.jsonl'))
    await symlink(join(folder, 'ledger.jsonl.head'), join(copy, 'ledger.jsonl.head'))
    expect(run(folder, 'never').status).toBe(0)
    const second = run(copy, 'never')
    expect(second.status).not.toBe(0)
    expect(second.stderr).toMatch(/release round-1 of run run-1 was already made/)
    expect(existsSync(join(copy, 'release.json'))).toBe(false)
    await rm(join(folder, 'release.json'))
    const third = run(folder, 'never')
    expect(third.stderr).toMatch(/release round-1 of run run-1 was already made/)
    expect(existsSync(join(folder, 'release.json'))).toBe(false)
  })

  it('whose bytes were changed is refused', async () => {
    const folder = await folderFor()
    run(folder, 'never')
    const file = join(folder, 'release.json')
    await writeFile(file, (await readFile(file, 'utf8')).replace('"redrawn":false', '"redrawn":true'))
    expect(run(folder, 'never').stderr).toMatch(
      /was already made, and its file is not the one that the ledger knows/,
    )
  })

  it('that no entry of the ledger paid for is refused', async () => {
    const folder = await folderFor()
    run(folder, 'never')
    const other = await folderFor()
    await writeFile(join(other, 'release.json'), await readFile(join(folder, 'release.json')))
    const result = run(other, 'never')
    expect(result.status).not.toBe(0)
    expect(result.stderr).toMatch(/no entry of .*ledger\.jsonl paid for this release/)
  })

  it('that was edited into something else is refused', async () => {
    const folder = await folderFor()
    run(folder, 'never')
    await writeFile(join(folder, 'release.json'), '{"format":"pretext-release"}')
    await expect(readRelease(join(folder, 'release.json'))).rejects.toThrow(
      'expected a release, got something else',
    )
  })
})
