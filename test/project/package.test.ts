// Package hygiene: what is installed, from where, and what a user gets.
import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { isBuiltin } from 'node:module'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const json = async (path: string) => JSON.parse(await readFile(join(ROOT, path), 'utf8'))

describe('package', () => {
  it('pins every dependency exactly, and runs on Node 20.19', async () => {
    const { dependencies, devDependencies, optionalDependencies, engines, type, license } =
      await json('package.json')
    for (const [name, version] of Object.entries({
      ...dependencies,
      ...devDependencies,
      ...optionalDependencies,
    })) {
      expect(version, name).toMatch(/^\d+\.\d+\.\d+$/)
    }
    expect(engines.node).toBe('>=20.19')
    expect({ type, license }).toEqual({ type: 'module', license: 'Apache-2.0' })
    const named = ['openai', '@huggingface/inference', '@huggingface/transformers', 'yargs']
    for (const name of named) expect(dependencies).toHaveProperty([name])
    expect(optionalDependencies).toHaveProperty(['hnswlib-node'])
  })

  it('the lock file carries no registry addresses', async () => {
    const lock = await readFile(join(ROOT, 'package-lock.json'), 'utf8')
    expect(lock).not.toMatch(/"resolved"/)
    expect(lock).not.toMatch(/registry\./)
  })

  it('starts without loading a package: what a command needs is loaded by it', async () => {
    // What main.js loads at once, and what that loads.
    const files = ['main.js']
    for (const file of files) {
      const text = await readFile(join(ROOT, 'dist/cli', file), 'utf8')
      for (const [, name] of text.matchAll(/^(?:import|export) (?:[^'"]* from )?["']([^"']+)["'];?$/gm)) {
        const chunk = /^\.\/(.*)$/.exec(name as string)?.[1]
        if (chunk === undefined) expect(isBuiltin(name as string), `${name} in ${file}`).toBe(true)
        else if (!files.includes(chunk)) files.push(chunk)
      }
    }
    expect(files.length).toBeGreaterThan(3)
    expect(files.length).toBeLessThan(20)
  })

  it('packs what it needs and nothing private: code, prompts, configs; no data, no tests', () => {
    const out = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: ROOT,
      encoding: 'utf8',
    })
    const files =
      (JSON.parse(out) as { files: { path: string }[] }[])[0]?.files.map((file) => file.path) ?? []
    for (const needed of [
      'bin/pretext.js',
      'dist/index.js',
      'dist/index.d.ts',
      'dist/privacy/index.js',
      'configs/quickstart.yaml',
      'configs/prompts/few-shot.yaml',
      'configs/pretext.schema.json',
      'LICENSE',
      'README.md',
    ]) {
      expect(files).toContain(needed)
    }
    expect(files.filter((path) => /^(data|test|runs|bench|node_modules)\//.test(path))).toEqual([])
  })

  it('the committed tree names no registry host and no path of a machine', () => {
    const tracked = execFileSync('git', ['ls-files'], { cwd: ROOT, encoding: 'utf8' }).trimEnd().split('\n')
    expect(tracked.length).toBeGreaterThan(100)
    const grep = (pattern: string) => {
      try {
        return execFileSync('git', ['grep', '-lE', pattern, '--', ':!test/project/package.test.ts'], {
          cwd: ROOT,
          encoding: 'utf8',
        })
      } catch {
        return ''
      }
    }
    expect(grep('registry\\.npmjs|files\\.pythonhosted|pypi\\.org/simple|deb\\.debian\\.org')).toBe('')
    expect(grep('/work/main|/root/')).toBe('')
  })
})
