// The release state machine under kill -9 at each of its moments, with real processes.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readRelease } from '../../src/histogram/release.ts'
import { readLedger } from '../../src/privacy/ledger.ts'

const child = join(import.meta.dirname, 'release-child.ts')
const run = (folder: string, moment: string) =>
  spawnSync(process.execPath, ['--import', 'tsx', child, folder, moment], { encoding: 'utf8' })
const folderFor = () => mkdtemp(join(tmpdir(), 'release-'))
const entries = (folder: string) => readLedger(join(folder, 'ledger.jsonl'))
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
  }, 60_000)

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

  it('leaves no second file from which a lost draw could be read', async () => {
    const folder = await folderFor()
    run(folder, 'charged')
    run(folder, 'never')
    expect(readdirSync(folder).filter((name) => name.startsWith('release'))).toEqual(['release.json'])
  }, 60_000)

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
