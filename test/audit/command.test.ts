// pretext audit by the real command line, and the words and exit codes of each verdict.
import { describe, expect, it } from 'vitest'
import { type AuditOptions, auditNoise } from '../../src/audit/audit-noise.ts'
import { deployedPath } from '../../src/audit/noise-path.ts'
import { noiseFailure, noiseTable } from '../../src/cli/output/audit.ts'
import { voteBound } from '../../src/histogram/bound.ts'
import { addNoise } from '../../src/histogram/noise.ts'
import { runCli, workspace } from '../run/workspace.ts'

describe('pretext audit', () => {
  it('audits what the config deploys: its votes, noise and rounds', async () => {
    const { folder, config } = await workspace((c) => {
      c.histogram = { vote: 'multihot', maxTextsPerClient: 2, maxCandidates: 2 }
      c.privacy = { ...c.privacy, adjacency: 'substitution' }
    })
    const { code, stdout, stderr } = await runCli(['audit', config, '--samples', '60000'], { cwd: folder })
    // One honest audit in a hundred ends below the floor.
    expect([0, 10]).toContain(code)
    expect(stderr).toMatch(/releasing to two neighbouring inputs \(2 rounds each time\): done \(/)
    expect(stdout).toMatch(
      /path +clip, sum and exact noise, as in a release \(multihot votes, substitution\)/,
    )
    expect(stdout).toMatch(/claim +epsilon 8\.0000 at delta 0\.00001/)
    expect(stdout).toMatch(/shown +epsilon is at least [1-7]\.\d{4} at this delta, with 99\.9 % confidence/)
    expect(stdout).toMatch(/verdict +(pass|FAIL: the audit saw less)/)
  })

  it('without a config, and as one JSON object', async () => {
    const { folder } = await workspace()
    const args = ['audit', '--noise', '1', '--delta', '3e-6', '--samples', '50000', '--json']
    const { stdout } = await runCli(args, { cwd: folder })
    expect(stdout.trimEnd().split('\n')).toHaveLength(1)
    const { audit } = JSON.parse(stdout)
    expect(audit.claim.epsilon).toBeCloseTo(4.6502, 3)
    expect(audit.epsilon.bound).toBeLessThan(audit.claim.epsilon)
  })

  it.each([
    [[], 'expected a config, or --noise and --delta', 2],
    [['--corpus'], 'audit --corpus expects a config', 2],
    [['--noise', '1', '--delta', '3e-6', '--samples', '10'], 'expected at least 1000 samples, got 10', 2],
    [
      ['--noise', '1', '--delta', '3e-6', '--rounds', '1.5'],
      'the number of rounds must be a positive integer, got 1.5',
      2,
    ],
    [['--noise', '0', '--delta', '3e-6'], 'noiseMultiplier must be greater than 0, got 0', 3],
    [['--noise', '1', '--delta', '2'], 'delta must lie strictly between 0 and 1, got 2', 3],
  ])('%j: exact message and exit code', async (more, message, exitCode) => {
    const { folder } = await workspace()
    const { code, stderr } = await runCli(['audit', ...more], { cwd: folder })
    expect(stderr).toContain(message)
    expect(code).toBe(exitCode)
  })

  it('has nothing to audit where exact votes are released', async () => {
    const { folder, config } = await workspace((c) => {
      c.data = { ...c.data, simulation: true }
      c.privacy = { ...c.privacy, epsilon: Number.POSITIVE_INFINITY }
    })
    const { code, stderr } = await runCli(['audit', config], { cwd: folder })
    expect(stderr).toContain('expected noise to audit, got epsilon infinite: exact votes are released')
    expect(code).toBe(3)
  })
})

describe('what it says of faults', () => {
  const vote = { mode: 'normalised', maxTextsPerClient: 8, neighbours: 1 } as const
  const audit = (more: Partial<AuditOptions>) =>
    auditNoise({
      vote,
      bound: voteBound(vote),
      adjacency: 'add-remove',
      noiseMultiplier: 1,
      rounds: 1,
      delta: 3e-6,
      samples: 100_000,
      ...more,
    })
  const withNoise = (noiseMultiplier: number) => ({
    path: {
      ...deployedPath,
      addNoise: ((votes, _, ...rest) =>
        addNoise(votes, { type: 'gaussian', noiseMultiplier }, ...rest)) as typeof addNoise,
    },
  })

  it('a clip that lets too much through', async () => {
    const result = await audit({
      path: { ...deployedPath, clip: () => ({ indices: [0], steps: [1n << 40n] }) },
    })
    expect(noiseFailure(result)).toMatchObject({
      code: 'audit',
      exitCode: 10,
      message: 'the noise path refused a vote that its own clip made: the clip does not hold the L2 bound',
    })
    expect(noiseTable(result)).toMatch(/shown +nothing: the path refused the vote/)
  })

  it('a fault that the claimed curve shows, and one that epsilon itself shows', async () => {
    // Whether one delta alone shows a slight fault is chance (1 audit in 20 shows none): its words are tested as words.
    const result = await audit(withNoise(0.7))
    expect(noiseFailure({ ...result, broken: null })?.message).toMatch(
      /^less private than claimed: with 99\.9 % confidence, mu is at least 1\.[1-4]\d+, claimed 1\.0000$/,
    )
    const broken = { delta: 0.01, epsilon: 2.5, claim: 2.25 }
    expect(noiseFailure({ ...result, broken })?.message).toMatch(
      /, claimed 1\.0000; at delta 0\.010 epsilon is at least 2\.5000, claimed 2\.2500$/,
    )
    const gross = noiseFailure(await audit(withNoise(0.1)))
    expect(gross?.message).toMatch(
      /^less private than claimed: with 99\.9 % confidence, epsilon is at least \d\.\d{4} at delta 0\.000003, claimed 4\.6502$/,
    )
    expect(gross?.exitCode).toBe(10)
    expect(gross?.details).toMatchObject({ audit: { verdict: 'above-claim' } })
  })

  it('too much noise', async () => {
    const failure = noiseFailure(await audit(withNoise(4)))
    expect(failure?.message).toMatch(
      /^the audit shows epsilon \d\.\d{4}, below the floor of \d\.\d{4} that honest paths reach$/,
    )
    expect(failure?.hint).toMatch(/^one honest run in a hundred falls below it: run again/)
  })
})
