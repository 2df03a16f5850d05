// The whole comparison from one command, with the embedded models: PrE-Text, DP-FedAvg, the start and the ceiling.
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { ComparisonReport } from '../../src/report/comparison-data.ts'
import { textAsInfinity } from '../../src/report/json.ts'
import { filesBelow } from '../run/workspace.ts'
import { pretext, smallComparison } from './workspace.ts'

describe('pretext compare', () => {
  it('runs the arms of one config end to end, and does nothing twice', { timeout: 1_800_000 }, async () => {
    const { file, out } = await smallComparison()
    const { code, stdout, stderr } = await pretext(['compare', file, '--json'])
    expect(stderr).not.toMatch(/^error/m)
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ ok: true })
    const report: ComparisonReport = JSON.parse(
      await readFile(join(out, 'comparison.json'), 'utf8'),
      textAsInfinity,
    )
    expect(report.rows.map(({ arm }) => arm)).toEqual(['pretext', 'public-only', 'dp-fedavg', 'private'])
    expect(report.rows.map(({ failed }) => failed)).toEqual([null, null, null, null])
    expect(report.clients).toMatchObject({ evaluationClients: 160, evaluationTexts: 708 })
    expect(report.clients.clients + report.clients.validationClients).toBe(1000)
    const of = (arm: string) => {
      const row = report.rows.find((each) => each.arm === arm)
      if (row === undefined) throw new Error(`no row ${arm}`)
      return row
    }
    // Each arm is measured by the same evaluator, on texts that nobody learned from.
    for (const { figures } of report.rows) {
      expect(figures['cross-entropy']?.value).toBeGreaterThan(3)
      expect(figures['cross-entropy']?.value).toBeLessThan(8)
    }
    expect(of('private').figures['cross-entropy']?.value).toBeLessThan(
      of('public-only').figures['cross-entropy']?.value as number,
    )
    // Epsilons come from what the runs did.
    for (const arm of ['pretext', 'dp-fedavg']) {
      expect(of(arm).spent?.epsilon).toBeLessThanOrEqual(7.58)
      expect(of(arm).spent?.epsilon).toBeGreaterThan(7.5)
    }
    expect(of('public-only').spent).toEqual({ epsilon: 0 })
    expect(of('private').spent).toBeNull()
    // Meters are of real messages: 8 candidates here, all weights there.
    const ours = of('pretext').meters
    const theirs = of('dp-fedavg').meters
    expect(ours?.rounds).toBe(1)
    expect(ours?.bytesDownPerClientRound).toBeGreaterThan(8 * 384)
    expect(ours?.bytesDownPerClientRound).toBeLessThan(6000)
    expect(ours?.bytesUpPerClientRound).toBeLessThan(100)
    expect(theirs?.rounds).toBe(2)
    expect(theirs?.bytesUpPerClientRound).toBeGreaterThan(4 * (of('dp-fedavg').parameters as number))
    expect(ours?.clientFlopsPerRound).toBeGreaterThan(1e8)
    expect(ours?.llmTokens).toBeGreaterThan(500)
    for (const meters of [ours, theirs]) {
      expect(meters?.participations).toBe((meters?.rounds ?? 0) * report.clients.clients)
      expect(meters?.clientCpuSecondsPerRound).toBeGreaterThan(0)
      expect(meters?.serverCpuSeconds).toBeGreaterThan(0)
    }
    const page = await readFile(join(out, 'comparison.html'), 'utf8')
    expect(page).toContain('<strong>Simulation.</strong>')
    expect(page).toContain('No DP guarantee')
    expect(page).toContain('What the paper reports')
    // No text of a client is in the report; weights of finished runs are gone.
    const texts = (await readFile(join(out, 'data/clients.jsonl'), 'utf8')).trimEnd().split('\n')
    for (const line of texts) expect(page).not.toContain(JSON.parse(line).text)
    expect(filesBelow(join(out, 'arms')).filter((path) => path.endsWith('model.safetensors'))).toEqual([])

    const results = filesBelow(join(out, 'arms')).filter((path) => path.endsWith('result.json'))
    const before = await Promise.all(results.map(async (path) => (await stat(path)).mtimeMs))
    const again = await pretext(['compare', file])
    expect(again.code).toBe(0)
    expect(again.stderr).not.toMatch(/training on|rounds|expanding/)
    const after = await Promise.all(results.map(async (path) => (await stat(path)).mtimeMs))
    expect(after).toEqual(before)
  })
})
