// A comparison that is killed goes on where it was: no charge, no completion and no finished part twice.
import { existsSync } from 'node:fs'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { filesBelow } from '../run/workspace.ts'
import { pretext, smallComparison } from './workspace.ts'

describe.concurrent('kill -9', () => {
  it('in the start, in a run and in a training: the same command ends as if nothing was', {
    timeout: 1_800_000,
  }, async () => {
    // A scripted language model: what is tested here is the going on, not the texts.
    const { file, out } = await smallComparison((content) => {
      Object.assign(content.set as object, {
        'llm.provider': 'scripted',
        'llm.model': 'scripted',
        'embeddings.model': 'hashing',
        'evolution.rounds': 2,
        'evolution.variation.minWords': 3,
        'generate.minWords': 3,
      })
      content.arms = { pretext: null }
    })
    for (const moment of [/public pre-training, before/, /round 1\/2/, /training, before/]) {
      const killed = await pretext(['compare', file], moment)
      expect(killed.signal, killed.stderr).toBe('SIGKILL')
    }
    const { code, stderr } = await pretext(['compare', file])
    expect(stderr).not.toMatch(/^error/m)
    expect(code).toBe(0)
    const report = JSON.parse(await readFile(join(out, 'comparison.json'), 'utf8'))
    expect(report.rows).toHaveLength(1)
    expect(report.rows[0].spent.epsilon).toBeLessThanOrEqual(7.58)
    expect(report.rows[0].meters.llmTokens).toBeGreaterThan(0)
    const ledger = filesBelow(join(out, 'ledgers')).find((path) => path.endsWith('.jsonl')) as string
    const charges = (await readFile(ledger, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter((entry) => entry.type === 'charge')
    expect(charges.map(({ release }) => release)).toEqual(['round-1', 'round-2'])
    const cache = filesBelow(out).find((path) => path.endsWith('llm-cache.jsonl')) as string
    const keys = (await readFile(cache, 'utf8')).trimEnd().split('\n').slice(1)
    expect(new Set(keys.map((line) => JSON.parse(line).key)).size).toBe(keys.length)
  })

  it('leaves a part of other settings alone, and says so', { timeout: 1_800_000 }, async () => {
    const { file, out } = await smallComparison((content) => {
      content.arms = { 'public-only': null, private: null }
    })
    const early = await pretext(['compare', file, '--done'])
    expect(early.code).toBe(3)
    expect(early.stderr).toContain('expected parts of a comparison, found none')
    expect((await pretext(['compare', file, '--arm', 'public-only'])).code).toBe(0)
    // Only what there is: private is not begun.
    expect((await pretext(['compare', file, '--done'])).code).toBe(0)
    // Of parts that came from elsewhere, without the start: it is not trained for a report.
    await rename(join(out, 'start'), join(out, 'aside'))
    expect((await pretext(['compare', file, '--done'])).code).toBe(0)
    expect(existsSync(join(out, 'start'))).toBe(false)
    await rename(join(out, 'aside'), join(out, 'start'))
    const { rows } = JSON.parse(await readFile(join(out, 'comparison.json'), 'utf8'))
    expect(rows.map(({ arm, failed }: Record<string, unknown>) => [arm, failed])).toEqual([
      ['public-only', null],
    ])
    expect(filesBelow(join(out, 'arms')).filter((path) => path.includes('private'))).toEqual([])
    const text = await readFile(file, 'utf8')
    await writeFile(file, text.replace('sequenceTokens: 32', 'sequenceTokens: 16'))
    const other = await pretext(['compare', file])
    expect(other.code).toBe(3)
    expect(other.stderr).toContain('this part was done with other settings than the comparison has now')
  })
})
