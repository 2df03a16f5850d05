// The whole comparison from one config, every arm of it. Two processes do half of the arms each, as two machines over one folder
// would; the third makes the report of all.
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { ARMS } from '../../src/compare/registry.ts'
import type { ComparisonReport, ComparisonRow } from '../../src/report/comparison-data.ts'
import { textAsInfinity } from '../../src/report/json.ts'
import { filesBelow } from '../run/workspace.ts'
import { pretext, type Ran, smallComparison } from './workspace.ts'

const DATA = resolve(import.meta.dirname, '../../data/debian')
/** What writes is not what is tested here: test/run does that with the embedded model. */
const SCRIPTED = {
  'llm.provider': 'scripted',
  'llm.model': 'scripted',
  'evolution.variation.minWords': 3,
  'generate.minWords': 3,
}

/** The texts of the first clients of a file, as a file. */
async function someClients(name: string, count: number, folder: string): Promise<string> {
  const seen = new Set<string>()
  const kept: string[] = []
  for (const line of (await readFile(join(DATA, name), 'utf8')).trimEnd().split('\n')) {
    seen.add(JSON.parse(line).client)
    if (seen.size > count) break
    kept.push(`${line}\n`)
  }
  await writeFile(join(folder, name), kept.join(''))
  return join(folder, name)
}

describe('pretext compare', () => {
  let file: string
  let out: string
  let runs: Ran[]
  let report: ComparisonReport
  let page: string
  let results: Record<string, number>
  const finished = async (): Promise<Record<string, number>> => {
    const paths = filesBelow(join(out, 'arms')).filter((path) => path.endsWith('result.json'))
    return Object.fromEntries(
      await Promise.all(paths.map(async (path) => [path, (await stat(path)).mtimeMs])),
    )
  }

  beforeAll(async () => {
    ;({ file, out } = await smallComparison(async (content, folder) => {
      Object.assign(content.set as object, {
        'data.private.path': await someClients('clients.jsonl', 130, folder),
        'data.consented.path': await someClients('heldout.jsonl', 40, folder),
      })
      const { arms } = content
      for (const arm of ['pretext', 'expand-only', 'expand-private'])
        arms[arm] = { settings: { set: SCRIPTED } }
      const prompted = arms['dp-prompt'] as { settings: { model: string } }
      prompted.settings.model = join(folder, 'out/start/training/model')
    }))
    const [some, others] = [[], []] as [string[], string[]]
    for (const [i, { name }] of ARMS.entries()) (i % 2 === 0 ? some : others).push('--arm', name)
    runs = await Promise.all([some, others].map((arms) => pretext(['compare', file, '--json', ...arms])))
    results = await finished()
    runs.push(await pretext(['compare', file, '--json']))
    report = JSON.parse(await readFile(join(out, 'comparison.json'), 'utf8'), textAsInfinity)
    page = await readFile(join(out, 'comparison.html'), 'utf8')
  }, 1_800_000)

  const of = (arm: string): ComparisonRow => {
    const row = report.rows.find((each) => each.arm === arm)
    if (row === undefined) throw new Error(`no row ${arm}`)
    return row
  }
  const loss = (arm: string) => of(arm).figures['cross-entropy']?.value as number

  it('runs every arm to its end', () => {
    for (const { code, stdout, stderr } of runs) {
      expect(stderr).not.toMatch(/^(error|warning .* failed)/m)
      expect(code, stderr.slice(-4000)).toBe(0)
      expect(JSON.parse(stdout)).toMatchObject({ ok: true })
    }
    expect(report.rows.map(({ arm, failed }) => [arm, failed])).toEqual(ARMS.map(({ name }) => [name, null]))
    expect(report.clients).toMatchObject({ evaluationClients: 40 })
    expect(report.clients.clients + report.clients.validationClients).toBe(130)
  })

  it('does nothing twice', async () => {
    expect(Object.keys(results).length).toBeGreaterThanOrEqual(ARMS.length)
    expect(runs[2]?.stderr).not.toMatch(/training on|rounds|expanding/)
    expect(await finished()).toEqual(results)
  })

  it('measures all of them by one evaluator, on texts that nobody learned from', () => {
    for (const { arm, figures, measures } of report.rows) {
      // No single model comes of it: each client's own is also measured on what that client held out.
      if (arm === 'local') expect(measures.ownAfterLoss).toBeGreaterThan(3)
      expect(figures['cross-entropy']?.value, arm).toBeGreaterThan(3)
      expect(figures['cross-entropy']?.value, arm).toBeLessThan(8)
    }
    expect(loss('private')).toBeLessThan(loss('public-only'))
  })

  it('says the epsilon of what each run did, and none where nothing is promised', () => {
    const promised = ARMS.filter(({ guarantee }) => guarantee === 'client')
    expect(promised).toHaveLength(8)
    for (const { name } of promised) {
      expect(of(name).spent?.epsilon, name).toBeLessThanOrEqual(7.58)
      expect(of(name).spent?.epsilon, name).toBeGreaterThan(7.5)
    }
    for (const arm of ['public-only', 'expand-only']) expect(of(arm).spent).toEqual({ epsilon: 0 })
    expect(of('dp-prompt')).toMatchObject({ spent: null, perText: { epsilon: expect.closeTo(7.58, 6) } })
    const bare = ['local', 'lora', 'scaleot', 'expand-private', 'private']
    expect(report.groups.at(-1)?.title).toBe('No DP guarantee')
    expect(report.groups.at(-1)?.rows.map(({ arm }) => arm)).toEqual(bare)
    expect(report.groups.flatMap(({ rows }) => rows)).toHaveLength(ARMS.length)
    for (const arm of bare) {
      const { spent, perText, asked, noEpsilon, measures } = of(arm)
      expect({ spent, perText, asked }, arm).toEqual({ spent: null, perText: null, asked: null })
      expect(noEpsilon, arm).toMatch(/\w/)
      expect(JSON.stringify(measures), arm).not.toMatch(/epsilon/i)
    }
    const group = page.slice(page.indexOf('<h3>No DP guarantee</h3>'), page.indexOf('<section id="charts">'))
    for (const arm of bare) expect(group.includes(`<dt>${arm}</dt>`), arm).toBe(true)
    expect(group).toContain('no client’s gradient is bounded')
    expect(group).not.toContain('7.58')
  })

  it('counts what was sent and computed', () => {
    // 8 candidates here, all weights there.
    const ours = of('pretext').meters
    const theirs = of('dp-fedavg').meters
    expect(ours?.rounds).toBe(1)
    expect(ours?.participations).toBe(report.clients.clients)
    expect(ours?.bytesDownPerClientRound).toBeGreaterThan(8 * 384)
    expect(ours?.bytesDownPerClientRound).toBeLessThan(6000)
    expect(ours?.bytesUpPerClientRound).toBeLessThan(100)
    expect(ours?.clientFlopsPerRound).toBeGreaterThan(1e8)
    expect(ours?.llmTokens).toBeGreaterThan(500)
    expect(theirs?.rounds).toBe(2)
    expect(theirs?.bytesUpPerClientRound).toBeGreaterThan(4 * (of('dp-fedavg').parameters as number))
    // Whatever is computed outside of devices is counted, in Node and in Python; two arms train nothing there.
    for (const { arm, meters } of report.rows) {
      if (arm === 'public-only' || arm === 'local') expect(meters?.serverCpuSeconds, arm).toBe(0)
      else expect(meters?.serverCpuSeconds, arm).toBeGreaterThan(0)
    }
    const upload = (arm: string) => {
      const { rounds, participations, bytesUpPerClientRound } = of(arm).meters ?? {}
      return { rounds, participations, bytesUpPerClientRound }
    }
    for (const arm of ['private', 'expand-private']) expect(upload(arm), arm).toEqual(upload('central-dp'))
    for (const arm of ['pretext', 'dp-fedavg', 'dp-ftrl', 'dr-encoder', 'fedlpp', 'scaleot-dp']) {
      const { meters } = of(arm)
      expect(meters?.participations, arm).toBeGreaterThan(0)
      expect(meters?.bytesUpPerClientRound, arm).toBeGreaterThan(0)
      expect(meters?.clientCpuSecondsPerRound, arm).toBeGreaterThan(0)
      expect(meters?.clientFlopsPerRound, arm).toBeGreaterThan(0)
    }
  })

  it('shows what the arms say of themselves', () => {
    const measures = page.slice(page.indexOf('<section id="measures">'))
    for (const words of ['gap best', 'auc plain', 'plug in', 'accountant', 'zero shot']) {
      expect(measures.includes(words), words).toBe(true)
    }
  })

  it('has no text of a client in the report, and leaves no weights behind', async () => {
    // `includes`, so that a failure does not print the page.
    for (const words of ['<strong>Simulation.</strong>', 'What the paper reports']) {
      expect(page.includes(words), words).toBe(true)
    }
    const texts = (await readFile(join(out, 'data/clients.jsonl'), 'utf8')).trimEnd().split('\n')
    for (const [i, line] of texts.entries())
      expect(page.includes(JSON.parse(line).text), `line ${i}`).toBe(false)
    expect(filesBelow(join(out, 'arms')).filter((path) => path.endsWith('model.safetensors'))).toEqual([])
  })
})
