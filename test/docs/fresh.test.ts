// What is derived from the code is fresh, and the README tells the truth that a machine can check.

import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { mkdtemp, readFile, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { derivedFiles } from '../../docs/generate.ts'
import { COMMANDS } from '../../src/cli/main.ts'
import { loadConfig } from '../../src/config/load.ts'
import { planRun } from '../../src/run/plan.ts'
import { workspace } from '../run/workspace.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const read = (path: string) => readFile(join(ROOT, path), 'utf8')

describe('derived files', () => {
  it('are what `npm run docs` writes', async () => {
    for (const [path, content] of Object.entries(await derivedFiles())) {
      expect(await read(path), `${path} is stale: npm run docs`).toBe(content)
    }
  })

  it('every command has help, a page in docs/cli.md, and examples of use', async () => {
    const page = await read('docs/cli.md')
    for (const command of COMMANDS) {
      const name = String(command.command).split(' ')[0] as string
      expect(page).toContain(`## ${name}\n`)
      expect(String(command.describe).length).toBeGreaterThan(10)
    }
  })
})

describe('configs', () => {
  // Batches and comparisons are no configs of a run; test/batch and test/compare hold them.
  const files = readdirSync(join(ROOT, 'configs')).filter(
    (name) => name.endsWith('.yaml') && !/^(batch|compare)/.test(name),
  )

  it.each(files)('%s is valid, and can be planned', async (name) => {
    const loaded = await loadConfig(join(ROOT, 'configs', name))
    expect(`${loaded.config.name}.yaml`).toBe(name)
    const plan = await planRun(loaded)
    expect(plan.calls.high).toBeGreaterThanOrEqual(plan.calls.low)
    expect(plan.noise.epsilon).toBeGreaterThan(0)
    for (const path of [loaded.config.data.private?.path ?? []].flat())
      expect(existsSync(loaded.path(path))).toBe(true)
  })

  it('paper.yaml has the noise of the paper, whose true epsilon is 1.188956, and 7.080123 at 2.31', async () => {
    const file = join(ROOT, 'configs/paper.yaml')
    expect((await planRun(await loadConfig(file))).noise.epsilon).toBeCloseTo(1.188956, 6)
    const other = await loadConfig(file, { set: ['privacy.noiseMultiplier=2.31'] })
    expect((await planRun(other)).noise.epsilon).toBeCloseTo(7.080123, 5)
    const { config } = other
    expect(config.evolution).toMatchObject({ rounds: 11, population: 1024, lookahead: { variations: 4 } })
    expect(config.evolution.variation).toMatchObject({
      operators: ['mask-fill'],
      degree: 0.3,
      steps: 2,
      topP: 1,
    })
    expect(config.generate).toMatchObject({ texts: 50_000, examples: 3, maxTokens: 85, minWords: 4 })
    expect(config.privacy.delta).toBe(3e-6)
  })
})

describe('README', () => {
  it('links to files that are there', async () => {
    for (const page of [
      'README.md',
      ...readdirSync(join(ROOT, 'docs'))
        .filter((n) => n.endsWith('.md'))
        .map((n) => `docs/${n}`),
    ]) {
      for (const [, target = ''] of (await read(page)).matchAll(/\]\(([^)#]+)\)/g)) {
        if (/^https?:/.test(target)) continue
        expect(existsSync(join(ROOT, dirname(page), target)), `${page} -> ${target}`).toBe(true)
      }
    }
  })

  it('its library snippet runs', async () => {
    const snippet = /```ts\n([\s\S]*?)```/.exec(await read('README.md'))?.[1] as string
    const { folder, config } = await workspace()
    await writeFile(join(folder, 'my.yaml'), await readFile(config, 'utf8'))
    await writeFile(join(folder, 'package.json'), '{"type":"module"}')
    await writeFile(join(folder, 'snippet.mjs'), snippet)
    const modules = join(await mkdtemp(join(tmpdir(), 'modules-')), 'node_modules')
    execFileSync('mkdir', ['-p', modules])
    await symlink(ROOT, join(modules, 'pretext'))
    await symlink(modules, join(folder, 'node_modules'))
    const output = execFileSync(process.execPath, ['snippet.mjs'], { cwd: folder, encoding: 'utf8' })
    const lines = output.trimEnd().split('\n')
    expect(lines.slice(0, 2).map((line) => line.split(' ')[0])).toEqual(['1', '2'])
    expect(lines.at(-1)).toMatch(/^7\.99999\d* 20$|^8(\.0+\d*)? 20$/)
  })
})
