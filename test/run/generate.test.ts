// The whole job by the real command line, on a scripted LLM and a lexical embedder.
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parquetReadObjects } from 'hyparquet'
import { describe, expect, it } from 'vitest'
import { chargesIn, readLedger } from '../../src/privacy/ledger.ts'
import { hnswInstalled } from '../histogram/hnsw-installed.ts'
import { CANARY, filesBelow, leaks, runCli, workspace } from './workspace.ts'

const json = async (path: string) => JSON.parse(await readFile(path, 'utf8'))
const lines = async (path: string) =>
  (await readFile(path, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))

describe('pretext generate', () => {
  it('makes corpus, report, card and ledger, and says what it spent', async () => {
    const { folder, config, out } = await workspace()
    const { code, stdout, stderr } = await runCli(['generate', config, '--out', out], { cwd: folder })
    expect(stderr).not.toMatch(/error/)
    expect(code).toBe(0)
    expect(stdout).toMatch(/20 texts in .*synthetic\.jsonl/)
    expect(stdout).toMatch(
      /epsilon 8\.0000 at delta 0\.00001 \(unit client, add-remove; substitution: 1\d\.\d+\)/,
    )
    expect(stdout).toMatch(/canaries has spent epsilon 8\.0000 in 2 releases of 1 run,/)

    const rows = await lines(join(out, 'synthetic.jsonl'))
    expect(rows).toHaveLength(20)
    expect(new Set(rows.map((row) => row.text)).size).toBe(20)
    const parquet = await readFile(join(out, 'synthetic.parquet'))
    expect(await parquetReadObjects({ file: new Uint8Array(parquet).buffer })).toEqual(rows)

    const report = await json(join(out, 'report.json'))
    expect(report.privacy.epsilon).toBeCloseTo(8, 6)
    expect(report.rounds.map((r: { round: number }) => r.round)).toEqual([1, 2])
    expect(report.rounds[0].consentedDistance.mean).toBeGreaterThan(0)
    expect(report.rounds[1].epsilon).toBeGreaterThan(report.rounds[0].epsilon)
    expect(report.llm.calls).toBeGreaterThan(20)
    expect(await readFile(join(out, 'report.html'), 'utf8')).toMatch(/<!doctype html>/i)
    expect(await readFile(join(out, 'card.md'), 'utf8')).toMatch(/synthetic/)
    const ledger = chargesIn(await readLedger(join(folder, 'runs/ledgers/canaries.jsonl')))
    expect(ledger.map((entry) => entry.release)).toEqual(['round-1', 'round-2'])
    expect(chargesIn(await lines(join(out, 'ledger.jsonl')))).toEqual(ledger)
    for (const t of [1, 2]) {
      const release = await json(join(out, `rounds/000${t}/release.json`))
      expect(release.charge).toBe(ledger[t - 1]?.hash)
      expect(release.steps).toHaveLength(16)
    }
    expect((await json(join(out, 'manifest.json'))).status).toBe('finished')
  })

  it('lets nothing private out: no file, no output', async () => {
    const { folder, config, out } = await workspace()
    const { stdout, stderr } = await runCli(['generate', config, '--out', out], { cwd: folder })
    expect(leaks([stdout, stderr], [folder])).toEqual([])
    // The search itself works: the private file is full of canaries.
    expect(await readFile(join(folder, 'clients.jsonl'), 'utf8')).toContain(CANARY)
  })

  it('writes no exact count: no grid step sum and no number of clients or texts', async () => {
    const { folder, config, out } = await workspace()
    const { stdout, stderr } = await runCli(['generate', config, '--out', out, '--json'], { cwd: folder })
    const rows = 100 // 40 clients with 1 to 4 texts
    const text = [
      stdout,
      stderr,
      ...(await Promise.all(
        filesBelow(out)
          .filter((p) => /manifest|report\.json|round\.json|card/.test(p))
          .map((p) => readFile(p, 'utf8')),
      )),
    ]
    for (const content of text)
      expect(content).not.toMatch(new RegExp(`\\b(40 clients|${rows} texts|"clients":|"texts": ?${rows})`))
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, texts: 20 })
  })

  it('counts what the data set has spent over runs, and stops at the budget with exit code 6', async () => {
    const { folder, config, out } = await workspace((c) => {
      c.privacy = { ...c.privacy, budget: { epsilon: 10, delta: 1e-5 } }
    })
    expect((await runCli(['generate', config, '--out', out], { cwd: folder })).code).toBe(0)
    const second = await runCli(['generate', config, '--out', `${out}2`], { cwd: folder })
    expect(second.code).toBe(6)
    expect(second.stderr).toMatch(
      /would bring data set "canaries" to epsilon \d+\.\d+, over its budget of 10 at delta 0\.00001 \(spent so far: 8\.0000\)/,
    )
    expect(existsSync(`${out}2/rounds/0001/release.json`)).toBe(false)
    expect(chargesIn(await readLedger(join(folder, 'runs/ledgers/canaries.jsonl')))).toHaveLength(2)
  })

  it.each([
    ['multihot', { vote: 'multihot', maxCandidates: 3 }, Math.sqrt(3)],
    ['counts', { vote: 'counts', clip: 2 }, 2],
    ['normalised, 3 neighbours', { vote: 'normalised', neighbours: 3 }, 1],
  ])('vote %s', async (_, histogram, bound) => {
    const { folder, config, out } = await workspace((c) => {
      c.histogram = { ...c.histogram, ...histogram }
    })
    const { code, stderr } = await runCli(['generate', config, '--out', out], { cwd: folder })
    expect(stderr).not.toMatch(/error/)
    expect(code).toBe(0)
    expect((await json(join(out, 'report.json'))).privacy.l2Bound).toBeCloseTo(bound, 10)
  })

  it.each(['uniform', 'measured', { even: 0.75, odd: 0.25 }])(
    'label-conditional, shares %j',
    async (shares) => {
      const { folder, config, out } = await workspace((c) => {
        c.data.private = { ...c.data.private, label: 'label' }
        c.evolution = { ...c.evolution, labels: { values: ['even', 'odd'], shares } }
      })
      const { code, stderr } = await runCli(['generate', config, '--out', out], { cwd: folder })
      expect(stderr).not.toMatch(/error/)
      expect(code).toBe(0)
      const rows = await lines(join(out, 'synthetic.jsonl'))
      expect(new Set(rows.map((row) => row.label))).toEqual(new Set(['even', 'odd']))
      const report = await json(join(out, 'report.json'))
      expect(report.privacy.releases).toBe(shares === 'measured' ? 3 : 2)
      expect(report.privacy.epsilon).toBeCloseTo(8, 6)
      if (typeof shares === 'object') expect(report.corpus.labels).toEqual({ even: 15, odd: 5 })
      expect(leaks([], [folder])).toEqual([])
    },
  )

  it('lookahead, several steps, schedules, other operators, hnsw and rank selection', async () => {
    const { folder, config, out } = await workspace((c) => {
      c.evolution = {
        rounds: 2,
        population: [16, 12, 8],
        lookahead: { variations: 2, includeSelf: true },
        variation: {
          operators: ['few-shot', 'rewrite', 'fill-in-blanks', 'continue-prefix'],
          steps: 2,
          degree: [0.5, 0.2],
          minWords: 3,
        },
        survivors: { by: 'rank', threshold: { topShare: 0.3 }, keepParents: 0.25 },
      }
      c.histogram = { ...c.histogram, backend: hnswInstalled ? 'hnsw' : 'exact', distance: 'cosine' }
    })
    const { code, stderr } = await runCli(['generate', config, '--out', out], { cwd: folder })
    expect(stderr).not.toMatch(/error/)
    expect(code).toBe(0)
    if (hnswInstalled)
      expect(stderr).toMatch(/neighbours: hnsw, recall [01]\.\d{3} \(measured on synthetic text\)/)
    const report = await json(join(out, 'report.json'))
    expect(report.rounds.map((r: { populationSize: number }) => r.populationSize)).toEqual([16, 12])
    expect(await lines(join(out, 'rounds/0003/population.jsonl'))).toHaveLength(8)
    const origins = new Set((await lines(join(out, 'rounds/0002/population.jsonl'))).map((c) => c.origin))
    expect(origins.size).toBeGreaterThan(1)
  })

  it('a simulation without noise carries its banner and has a ledger of its own', async () => {
    const { folder, config, out } = await workspace((c) => {
      c.data = { ...c.data, simulation: true }
      c.privacy = { ...c.privacy, epsilon: Number.POSITIVE_INFINITY }
    })
    const { code, stdout } = await runCli(['generate', config, '--out', out], { cwd: folder })
    expect(code).toBe(0)
    expect(stdout).toMatch(/epsilon infinite/)
    for (const file of ['report.html', 'card.md']) {
      expect((await readFile(join(out, file), 'utf8')).toLowerCase()).toMatch(/simulation/)
    }
    expect(existsSync(join(folder, 'runs/ledgers/canaries.jsonl'))).toBe(false)
    expect(chargesIn(await readLedger(join(folder, 'runs/ledgers/canaries.simulation.jsonl')))).toHaveLength(
      2,
    )
  })
})
