// kill -9 at every single step of one release on the disk (charge, draw, commit, rename), and torn writes: real processes
// that die, then the release is asked for again.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { beforeAll, describe, expect, it } from 'vitest'
import { readRelease } from '../../src/histogram/release.ts'
import { charge, chargesIn, commitOf, readLedger } from '../../src/privacy/ledger.ts'

const terms = { dataset: 'people', unit: 'client', adjacency: 'add-remove' } as const
const gaussian = { type: 'gaussian', noiseMultiplier: 20 } as const

let built: string
// Bundled once: a process then starts in a tenth of a second.
beforeAll(async () => {
  built = await mkdtemp(join(tmpdir(), 'crash-built-'))
  const common = { bundle: true, platform: 'node', format: 'esm', outdir: built, logLevel: 'error' } as const
  await build({
    ...common,
    entryPoints: ['ledger-child.ts', 'dying-child.ts'].map((name) => join(import.meta.dirname, name)),
    outExtension: { '.js': '.mjs' },
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
  })
})

const command = (folder: string, work: readonly string[]) => [
  '--import',
  join(built, 'dying-child.mjs'),
  join(built, 'ledger-child.mjs'),
  folder,
  ...work,
]
const run = (folder: string, env: NodeJS.ProcessEnv = {}, work: readonly string[] = ['release']) =>
  spawnSync(process.execPath, command(folder, work), { encoding: 'utf8', env: { ...process.env, ...env } })

/** A ledger with the charges of an earlier run. */
async function folderWithHistory(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'crash-'))
  const first = { run: 'run-1', release: 'round-1', mechanism: gaussian }
  await charge(join(folder, 'ledger.jsonl'), terms, first)
  return folder
}

/** What the system does by itself ten seconds after kill -9: the lock of the dead process goes stale. */
async function letLockGoStale(folder: string): Promise<void> {
  const lock = join(folder, 'ledger.jsonl.lock')
  if (existsSync(lock)) await utimes(lock, new Date(0), new Date(0))
}

const bytesOf = async (path: string) => (existsSync(path) ? await readFile(path, 'utf8') : undefined)
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

async function checkAfterCrash(folder: string, stdout: string): Promise<void> {
  const file = join(folder, 'release.json')
  const entries = await readLedger(join(folder, 'ledger.jsonl'))
  const charges = chargesIn(entries)
  const mine = charges.filter((entry) => entry.run === 'run-2')
  expect(charges.filter((entry) => entry.run === 'run-1')).toHaveLength(1)
  expect(mine.length).toBeLessThanOrEqual(1)
  // Noise was drawn: the charge is there, whatever came after.
  if (stdout.includes('drawing')) expect(mine).toHaveLength(1)
  const released = await bytesOf(file)
  if (released === undefined) return
  expect(commitOf(entries, mine[0] as (typeof charges)[0])).toBe(sha256(released))
}

describe('kill -9 at every step', () => {
  it('never a release without a charge, never two under one charge, never a lost charge', async () => {
    const whole = run(await folderWithHistory(), { STEPS: '1' })
    expect(whole.status).toBe(0)
    const steps = whole.stderr.trimEnd().split('\n')
    expect(steps.length).toBeGreaterThan(30)
    let torn = 0
    let redrawn = 0
    let kept = 0
    for (const [i, step] of steps.entries()) {
      // Only writes can be torn.
      for (const how of /(writeFile|appendFile)/.test(step) ? ['before', 'torn'] : ['before']) {
        const folder = await folderWithHistory()
        const dead = run(folder, { DIE_AT: String(i + 1), DIE_HOW: how })
        expect(dead.signal, `${step}, ${how}`).toBe('SIGKILL')
        if (how === 'torn') torn++
        await checkAfterCrash(folder, dead.stdout)

        const file = join(folder, 'release.json')
        const drawn = (await bytesOf(file)) ?? (await bytesOf(`${file}.part`))
        await letLockGoStale(folder)
        const again = run(folder)
        expect(again.stderr).toBe('')
        expect(again.stdout).toContain('released')
        const released = (await bytesOf(file)) as string
        const entries = await readLedger(join(folder, 'ledger.jsonl'))
        const mine = chargesIn(entries).filter((entry) => entry.run === 'run-2')
        expect(mine).toHaveLength(1)
        expect(entries.filter((entry) => entry.type === 'commit')).toHaveLength(1)
        expect(commitOf(entries, mine[0] as (typeof mine)[0])).toBe(sha256(released))
        expect(existsSync(`${file}.part`)).toBe(false)
        // A draw that was whole on the disk is the release: nobody could have read another one.
        if (drawn?.endsWith('\n')) {
          expect(released).toBe(drawn)
          kept++
        } else if ((await readRelease(file))?.redrawn) redrawn++
      }
    }
    expect(torn).toBeGreaterThanOrEqual(5)
    expect(kept).toBeGreaterThan(5)
    expect(redrawn).toBeGreaterThan(5)
  })

  it('the repair of a torn ledger can be killed too', async () => {
    const folder = await folderWithHistory()
    const ledger = join(folder, 'ledger.jsonl')
    const steps = run(await folderWithHistory(), { STEPS: '1' }).stderr.split('\n')
    const append = steps.findIndex((line) => /appendFile .*ledger\.jsonl$/.test(line)) + 1
    const dead = run(folder, { DIE_AT: String(append), DIE_HOW: 'torn' })
    expect(dead.signal).toBe('SIGKILL')
    expect((await readFile(ledger, 'utf8')).endsWith('\n')).toBe(false)
    await letLockGoStale(folder)
    for (let at = 1; at <= 6; at++) {
      const repair = run(folder, { DIE_AT: String(at) }, ['charge', 'run-3'])
      expect(repair.signal).toBe('SIGKILL')
      expect(chargesIn(await readLedger(ledger)).map((entry) => entry.run)).toContain('run-1')
      await letLockGoStale(folder)
    }
    expect(run(folder, {}, ['charge', 'run-3']).stdout).toContain('charged')
    const runs = chargesIn(await readLedger(ledger)).map((entry) => entry.run)
    expect(runs).toEqual(['run-1', 'run-3'])
  })
})

describe('two processes on one ledger', () => {
  const start = (folder: string, env: NodeJS.ProcessEnv, work: readonly string[]) => {
    const child = spawn(process.execPath, command(folder, work), { env: { ...process.env, ...env } })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (data) => {
      stdout += data
    })
    child.stderr.on('data', (data) => {
      stderr += data
    })
    const finished = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) =>
      child.on('close', (code) => resolve({ code, stdout, stderr })),
    )
    return { child, finished, stdout: () => stdout }
  }

  it('race for 40 charges: none is lost, the chain is whole', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'race-'))
    const both = ['a', 'b'].map((name) => start(folder, {}, ['charge', name, '20']).finished)
    const promised = (await Promise.all(both)).flatMap(({ code, stdout }) => {
      expect(code).toBe(0)
      return [...stdout.matchAll(/charged (\w+)/g)].map((match) => match[1])
    })
    const charges = chargesIn(await readLedger(join(folder, 'ledger.jsonl')))
    expect(promised).toHaveLength(40)
    expect(charges.map((entry) => entry.hash).sort()).toEqual(promised.sort())
    expect(charges.map((entry) => entry.number)).toEqual(charges.map((_, i) => i + 1))
  })

  it('one that slept until its lock was taken over does not write behind the other one', async () => {
    const folder = await folderWithHistory()
    const listed = run(await folderWithHistory(), { STEPS: '1' }, ['charge', 'sleeper'])
    const look = listed.stderr.split('\n').findIndex((line) => /stat .*ledger\.jsonl$/.test(line)) + 1
    expect(look).toBeGreaterThan(0)
    const sleeper = start(folder, { STOP_AT: String(look) }, ['charge', 'sleeper'])
    while (!sleeper.stdout().includes('stopped')) await new Promise((resolve) => setTimeout(resolve, 20))
    await letLockGoStale(folder)
    expect(run(folder, {}, ['charge', 'other']).stdout).toContain('charged')
    sleeper.child.kill('SIGCONT')
    const woken = await sleeper.finished
    expect(woken.code).not.toBe(0)
    expect(woken.stderr).toMatch(/another process wrote to the ledger meanwhile/)
    const runs = chargesIn(await readLedger(join(folder, 'ledger.jsonl'))).map((entry) => entry.run)
    expect(runs).toEqual(['run-1', 'other'])
  })
})
