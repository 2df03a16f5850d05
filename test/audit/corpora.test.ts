// The audit of corpora by the real command line, on a scripted LLM and a lexical embedder, and the parts that it rests on.
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { CorpusAudit } from '../../src/audit/audit-corpora.ts'
import { makeCanaries } from '../../src/audit/canaries.ts'
import { bigramScores } from '../../src/audit/membership.ts'
import { membershipResult, smallestSeen } from '../../src/audit/power.ts'
import { corpusFailure, corpusTable } from '../../src/cli/output/audit.ts'
import { seededRandom } from '../../src/random.ts'
import { countWords } from '../../src/texts/words.ts'
import { leaks, runCli, sentence, workspace } from '../run/workspace.ts'

const simulation = (generateTexts = 40) =>
  workspace((c) => {
    c.data = { ...c.data, simulation: true }
    c.generate = { texts: generateTexts, minWords: 3 }
  })

describe('pretext audit --corpus', () => {
  it('sees the planted leak, states null and power, and leaves no private text in what it says', async () => {
    const { folder, config, out } = await simulation()
    const scratch = join(folder, 'scratch')
    await mkdir(scratch)
    const { code, stdout, stderr } = await runCli(
      ['audit', config, '--corpus', '--pairs', '1', '--out', out],
      { cwd: folder, env: { TMPDIR: scratch } },
    )
    expect(stderr).not.toMatch(/error/)
    expect(code).toBe(0)
    expect(stdout).toMatch(/^SIMULATION: the texts were declared free for experiments\./)
    expect(stdout).toMatch(/1 pair, 8 canaries in each run/)
    expect(stdout).toMatch(/null +AUC 0\.500/)
    expect(stdout).toMatch(/power +an AUC of 0\.\d{3} is seen in 80 % of such audits/)
    const text = await readFile(join(out, 'audit.json'), 'utf8')
    const audit: CorpusAudit = JSON.parse(text)
    expect(audit).toMatchObject({
      simulation: true,
      pairs: 1,
      runs: 4,
      canaries: 16,
      canariesInEachRun: 8,
      nullAuc: 0.5,
      power: 0.8,
    })
    expect(audit.banner).toMatch(/^Simulation\./)
    expect(Math.max(audit.control.ngram.low, audit.control.nearest.low)).toBeGreaterThan(0.5)
    expect(audit.allowedAuc).toBeGreaterThan(0.5)
    expect(leaks([stdout, stderr, text], [])).toEqual([])
    // The texts themselves lay in a folder of their own for the time of the audit.
    expect(await readdir(scratch)).toEqual([])
    // Each run is a simulation, charged to a ledger of the audit's own.
    for (const run of ['leaking-a', 'leaking-b', 'pair-01-a', 'pair-01-b']) {
      expect(await readFile(join(out, run, 'card.md'), 'utf8')).toMatch(/simulation/i)
    }
    expect(existsSync(join(out, 'ledger.jsonl.simulation'))).toBe(true)
    expect(existsSync(join(folder, 'runs/ledgers'))).toBe(false)
  })

  it('refuses private texts, with exit code 3', async () => {
    const { folder, config, out } = await workspace()
    const { code, stderr } = await runCli(['audit', config, '--corpus', '--out', out], { cwd: folder })
    expect(code).toBe(3)
    expect(stderr).toContain(
      'audit --corpus attacks the texts themselves: expected data.simulation: true, got private texts',
    )
    expect(existsSync(out)).toBe(false)
  })

  it.each([
    [['--canaries', '7'], '--canaries expects an integer from 8 up, got 7'],
    [['--pairs', '0'], '--pairs expects an integer from 1 up, got 0'],
    [
      ['--canaries', '90'],
      'expected at least 180 texts to make 90 canaries for each run of a pair, got fewer',
    ],
  ])('%j is refused', async (more, message) => {
    const { folder, config } = await simulation()
    const { code, stderr } = await runCli(['audit', config, '--corpus', ...more], { cwd: folder })
    expect(code).toBe(message.startsWith('--') ? 2 : 4)
    expect(stderr).toContain(message)
  })
})

describe('what it says', () => {
  const result = {
    auc: 0.9,
    low: 0.8,
    high: 0.95,
    truePositives: 0.5,
    truePositivesLow: 0.3,
    truePositivesHigh: 0.7,
  }
  const audit = (verdict: CorpusAudit['verdict']): CorpusAudit => ({
    format: 'pretext-corpus-audit',
    version: 1,
    simulation: true,
    banner: '',
    verdict,
    dataset: 'd',
    seed: 0,
    epsilon: 1,
    delta: 1e-5,
    pairs: 1,
    runs: 4,
    canariesInEachRun: 8,
    canaries: 16,
    confidence: 0.95,
    nullAuc: 0.5,
    allowedAuc: 0.6,
    smallestSeenAuc: null,
    power: 0.8,
    lowFpr: 0.05,
    attacks: { ngram: result, nearest: { ...result, low: 0.7 } },
    control: { canaries: 16, ngram: result, nearest: result },
  })

  it('fails above the claim and where it is blind, and passes otherwise', () => {
    expect(corpusFailure(audit('above-claim'))).toMatchObject({
      exitCode: 10,
      message:
        'less private than claimed: with 95 % confidence the AUC is at least 0.800, and epsilon 1.0000 allows 0.600',
    })
    expect(corpusFailure(audit('blind'))).toMatchObject({
      exitCode: 10,
      message: 'the attack did not see the planted leak among 16 canaries, so the audit says nothing',
    })
    expect(corpusFailure(audit('within-claim'))).toBeUndefined()
    expect(corpusFailure(audit('nothing-seen'))).toBeUndefined()
    expect(corpusTable(audit('blind'))).toMatch(/power +none: so few canaries show no effect at all/)
  })
})

describe('canaries', () => {
  const rows = Array.from({ length: 50 }, (_, i) => ({
    client: `c${i}`,
    text: sentence(i),
    label: `l${i % 2}`,
  }))

  it('begin like a text, end in any words of the data set, and have a client each', () => {
    const canaries = makeCanaries(rows, { count: 20, words: 24, random: seededRandom(3) })
    expect(new Set(canaries.map((c) => c.client)).size).toBe(20)
    const vocabulary = new Set(rows.flatMap((row) => row.text.match(/[\p{L}\p{N}]+/gu)))
    for (const { text, label } of canaries) {
      expect(countWords(text)).toBe(24)
      const beginning = text.split(' ').slice(0, 8).join(' ')
      expect(rows.some((row) => row.text.startsWith(beginning) && row.label === label)).toBe(true)
      expect(text.match(/[\p{L}\p{N}]+/gu)?.every((word) => vocabulary.has(word))).toBe(true)
    }
  })

  it('the same seed gives the same ones, another seed others', () => {
    const make = (seed: number) => makeCanaries(rows, { count: 4, words: 12, random: seededRandom(seed) })
    expect(make(1)).toEqual(make(1))
    expect(make(1)).not.toEqual(make(2))
  })
})

describe('membership', () => {
  it('a text that is in the corpus is more probable than one that is not', () => {
    const corpus = Array.from({ length: 30 }, (_, i) => sentence(i))
    const [inside, outside] = bigramScores([sentence(7), sentence(999)], corpus)
    expect(inside).toBeGreaterThan(outside as number)
  })

  it('counts pairs, ties half, and true positives above the score that few non-members exceed', () => {
    const scores = Array.from({ length: 40 }, (_, i) => ({
      member: i < 30 ? 2 : 0,
      nonMember: i < 10 ? 2 : 1,
    }))
    const result = membershipResult(scores, 0.05)
    // 20 wins, 10 ties, 10 losses.
    expect(result.auc).toBe(25 / 40)
    expect(result.low).toBeLessThan(result.auc)
    expect(result.high).toBeGreaterThan(result.auc)
    // Three of forty are more than 5 %: the threshold is 2, which no member exceeds.
    expect(result.truePositives).toBe(0)
    expect(
      membershipResult(
        scores.map((s) => ({ ...s, nonMember: 1 })),
        0.05,
      ).truePositives,
    ).toBe(30 / 40)
  })

  it('the smallest effect that is seen with 80 % is that, by the binomial sum', () => {
    fc.assert(
      fc.property(fc.integer({ min: 8, max: 300 }), (n) => {
        const p = smallestSeen(n, 0.025, 0.8)
        if (p === null) return
        let seen = 0
        let chance = (1 - p) ** n
        for (let k = 0; k <= n; k++) {
          if (membershipResult(pairs(n, k), 0.025).low > 0.5) seen += chance
          chance *= ((n - k) / (k + 1)) * (p / (1 - p))
        }
        expect(seen).toBeCloseTo(0.8, 6)
      }),
      { numRuns: 25 },
    )
    expect(smallestSeen(5, 0.025, 0.8)).toBeNull()
  })
})

const pairs = (n: number, wins: number) =>
  Array.from({ length: n }, (_, i) => ({ member: i < wins ? 1 : -1, nonMember: 0 }))
