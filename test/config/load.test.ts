import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadConfig, parseConfig } from '../../src/config/load.ts'
import { PretextError } from '../../src/errors.ts'

const good = `name: test
data:
  dataset: d
  private: { path: a.jsonl, client: c }
  public: { path: p.jsonl }
privacy:
  unit: client
  epsilon: 1
  delta: 1e-6
`

function problemsOf(text: string, set?: string[]): string[] {
  try {
    parseConfig(text, 'my.yaml', set === undefined ? {} : { set })
  } catch (error) {
    expect(error).toBeInstanceOf(PretextError)
    expect((error as PretextError).exitCode).toBe(3)
    return (error as PretextError).message.split('\n')
  }
  throw new Error('expected the config to be refused')
}

describe('config', () => {
  it('never quotes what is in the file, which may be the private data by mistake', () => {
    const secret = 'zebrafinchquartz4417'
    for (const text of [
      `{"client": "id-${secret}", "text": "${secret} one"}\n`.repeat(100),
      `client,text\nid-${secret},"${secret}, and: more"\n`,
      `{"id-${secret}": ["${secret} one"]}\n`,
      `["${secret} \\q"]`,
      `!${secret} *${secret}`,
      `- |${secret}\n  a`,
      `a: \`${secret}\n@${secret}: [`,
      `name: [${secret}`,
    ]) {
      const told = problemsOf(text)
      expect(told.join('\n')).not.toContain(secret)
      expect(told.length).toBeLessThanOrEqual(21)
    }
  })

  it('fills in defaults, but never epsilon or delta', () => {
    const { config } = parseConfig(good, 'my.yaml')
    expect(config.histogram.vote).toBe('normalised')
    expect(config.evolution.survivors.keepParents).toBe(0.5)
    expect(config.llm.provider).toBe('llama')
    expect(problemsOf(good.replace('  epsilon: 1\n', ''))).toEqual([
      'my.yaml:6:1: privacy: expected either epsilon or noiseMultiplier (there is no default)',
    ])
    expect(problemsOf(good.replace('  delta: 1e-6\n', ''))[0]).toMatch(
      /^my\.yaml:6:1: privacy\.delta: expected a number strictly between 0 and 1, got undefined/,
    )
  })

  it('reports every problem at once, with its place, and the key that was meant', () => {
    const text = good
      .replace('  unit: client', '  unit: user')
      .replace('epsilon: 1', 'epsilon: -1')
      .replace('name: test', 'name: test\nevolutoin: { rounds: 3 }\nevolution: { round: 2, population: 0 }')
    expect(problemsOf(text)).toEqual([
      '5 problems in the config:',
      'my.yaml:9:3: privacy.unit: Invalid option: expected one of "client"|"record"',
      'my.yaml:10:3: privacy.epsilon: expected a number greater than 0, got -1',
      'my.yaml:3:24: evolution.population: Too small: expected number to be >0',
      'my.yaml:3:14: unknown key "evolution.round"; did you mean "rounds"?',
      'my.yaml:2:1: unknown key "evolutoin"; did you mean "evolution"?',
    ])
  })

  it.each([
    ['epsilon: 1', 'epsilon: 0', 'my.yaml:8:3: privacy.epsilon: expected a number greater than 0, got 0'],
    ['epsilon: 1', 'epsilon: -2', 'my.yaml:8:3: privacy.epsilon: expected a number greater than 0, got -2'],
    [
      'epsilon: 1',
      'epsilon: .inf',
      'my.yaml:8:3: privacy.epsilon: epsilon = infinity releases exact votes: only with data.simulation: true',
    ],
    [
      'delta: 1e-6',
      'delta: 1',
      'my.yaml:9:3: privacy.delta: expected a number strictly between 0 and 1, got 1',
    ],
    [
      'delta: 1e-6',
      'delta: 0',
      'my.yaml:9:3: privacy.delta: expected a number strictly between 0 and 1, got 0',
    ],
    [
      ', client: c',
      '',
      'my.yaml:4:3: data.private: unit "client" needs the client column: set data.private.client, or unit: record',
    ],
    [
      '  public: { path: p.jsonl }\n',
      '',
      'my.yaml:2:1: data: the initial population comes from public texts: set data.public, or evolution.initial.from: zero-shot',
    ],
    ['name: test', 'name: a b', 'my.yaml:1:1: name: expected letters, digits, ".", "_" or "-"'],
    [
      'name: test',
      'name: test\nhistogram: { clip: 2 }',
      'my.yaml:2:14: histogram.clip: clip belongs to vote: counts, got vote: normalised',
    ],
  ])('refuses %s -> %s', (from, to, message) => {
    expect(problemsOf(good.replace(from, to))).toEqual([message])
  })

  it('takes overrides by --set, and names the command line in their errors', () => {
    const { config } = parseConfig(good, 'my.yaml', {
      set: ['evolution.rounds=3', 'privacy.epsilon=2.5', 'evolution.population=[8, 4]'],
    })
    expect(config.evolution.rounds).toBe(3)
    expect(config.privacy.epsilon).toBe(2.5)
    expect(config.evolution.population).toEqual([8, 4])
    expect(() => parseConfig(good, 'my.yaml', { set: ['rounds'] })).toThrow(
      'expected --set key.key=value, got "rounds"',
    )
    expect(problemsOf(good, ['evolution.ruonds=3']).join()).toMatch(
      /unknown key "evolution\.ruonds"; did you mean "rounds"\?/,
    )
  })

  it('points at broken YAML', () => {
    expect(problemsOf('name: [a\n')[0]).toMatch(/^my\.yaml:\d+:\d+: /)
  })

  it('resolves paths from the folder of the config, and says what a missing config needs', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'config-'))
    const file = join(folder, 'c.yaml')
    await writeFile(file, good)
    const loaded = await loadConfig(file)
    expect(loaded.path('../x')).toBe(join(folder, '../x'))
    await expect(loadConfig(join(folder, 'none.yaml'))).rejects.toThrow(
      'none.yaml: expected a config file, could not read one',
    )
  })
})
