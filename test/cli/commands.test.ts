// Every command on a finished run, by the real command line.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parquetReadObjects } from 'hyparquet'
import { beforeAll, describe, expect, it } from 'vitest'
import { runCli, type Workspace, workspace } from '../run/workspace.ts'

let made: Workspace
beforeAll(async () => {
  made = await workspace()
  const { code, stderr } = await runCli(['generate', made.config, '--out', join(made.folder, 'runs/one')], {
    cwd: made.folder,
  })
  expect(stderr).not.toMatch(/error/)
  expect(code).toBe(0)
})

const run = (...args: string[]) => runCli(args, { cwd: made.folder })

describe('a reader that goes away', () => {
  // Through a shell: the pipe's other end is closed before anything is written.
  const piped = (command: string) =>
    spawnSync('bash', ['-c', `set -o pipefail; ${command}`], {
      cwd: made.folder,
      encoding: 'utf8',
      env: {
        ...process.env,
        PRETEXT: `${process.execPath} ${join(import.meta.dirname, '../../bin/pretext.js')}`,
      },
    })

  it('is no failure, and the work goes on', () => {
    const account = piped('$PRETEXT account --noise 2 --rounds 3 --delta 1e-5 | true')
    expect([account.status, account.stderr]).toEqual([0, ''])
    const out = join(made.folder, 'closed')
    const generate = piped(`{ $PRETEXT generate ${made.config} --out ${out}; } 2>&1 | true`)
    expect(generate.stdout).toBe('')
    expect(existsSync(join(out, 'synthetic.jsonl'))).toBe(true)
  })
})

describe('generate', () => {
  it('--quiet prints the corpus and nothing else; --json one object', async () => {
    const quiet = await run('generate', made.config, '--out', join(made.folder, 'quiet'), '--quiet')
    expect(quiet.stderr).toBe('')
    expect(quiet.stdout.trim()).toBe(join(made.folder, 'quiet/synthetic.jsonl'))
    const json = await run('generate', made.config, '--out', join(made.folder, 'json'), '--json', '-q')
    expect(JSON.parse(json.stdout)).toMatchObject({
      ok: true,
      texts: 20,
      privacy: { delta: 1e-5, unit: 'client' },
    })
  })

  it('repeats itself but for noise and the choices of clients: same seed, same first population', async () => {
    const population = (name: string) =>
      readFile(join(made.folder, name, 'rounds/0001/population.jsonl'), 'utf8')
    expect(await population('json')).toBe(await population('runs/one'))
    const other = await run(
      'generate',
      made.config,
      '--out',
      join(made.folder, 'seed2'),
      '--set',
      'seed=2',
      '-q',
    )
    expect(other.code).toBe(0)
    expect(await population('seed2')).not.toBe(await population('runs/one'))
    const release = async (name: string) =>
      JSON.parse(await readFile(join(made.folder, name, 'rounds/0001/release.json'), 'utf8')).steps
    expect(await release('json')).not.toEqual(await release('runs/one'))
  })

  it('--max-cost stops before anything is spent, with exit code 7', async () => {
    const args = [
      'generate',
      made.config,
      '--out',
      join(made.folder, 'costly'),
      '--set',
      'llm={provider: openai, model: gpt-4o, api: chat}',
    ]
    const { code, stderr } = await run(...args, '--max-cost', '0.001')
    expect(code).toBe(7)
    expect(stderr).toMatch(/the run could cost up to \$\d+\.\d\d, over --max-cost 0\.001/)
    expect(existsSync(join(made.folder, 'costly'))).toBe(false)
    const unknown = await run(
      'generate',
      made.config,
      '--set',
      'llm={provider: openai, model: my-own}',
      '--max-cost',
      '5',
    )
    expect(unknown.code).toBe(7)
    expect(unknown.stderr).toMatch(/the price of my-own is not known/)
  })
})

describe('plan', () => {
  it('tells privacy, calls, tokens, money, time and disk', async () => {
    const { code, stdout } = await run('plan', made.config)
    expect(code).toBe(0)
    expect(stdout).toMatch(/epsilon +8\.0000 at delta 0\.00001 \(unit client, add-remove\)/)
    expect(stdout).toMatch(/variations +16 to 96/)
    expect(stdout).toMatch(/expansion +20 to 80/)
    expect(stdout).toMatch(/disk +about/)
    const json = JSON.parse((await run('plan', made.config, '--json')).stdout)
    expect(json.epsilonPerRelease).toHaveLength(2)
    expect(json.calls).toEqual({ low: 36, high: 176 })
  })

  it('keeps its word: a run asks at least the low and at most the high number of calls', async () => {
    const { calls } = JSON.parse((await run('plan', made.config, '--json')).stdout)
    const report = JSON.parse(await readFile(join(made.folder, 'runs/one/report.json'), 'utf8'))
    expect(report.llm.calls).toBeGreaterThanOrEqual(calls.low)
    expect(report.llm.calls).toBeLessThanOrEqual(calls.high)
  })

  it('prices a known model by a dated table, and by the config', async () => {
    const listed = await run(
      'plan',
      made.config,
      '--set',
      'llm={provider: openai, model: gpt-4o-mini, api: chat}',
    )
    expect(listed.stdout).toMatch(
      /money +\$\d+\.\d\d to \$\d+\.\d\d \(prices of \d{4}-\d\d-\d\d; override with llm\.price\)/,
    )
    const own = await run(
      'plan',
      made.config,
      '--json',
      '--set',
      'llm={provider: openai, model: mine, price: {input: 1, output: 2}}',
    )
    const plan = JSON.parse(own.stdout)
    expect(plan.dollars.low).toBeCloseTo((plan.promptTokens.low + 2 * plan.completionTokens.low) / 1e6, 9)
  })
})

describe('account', () => {
  it('gives epsilon from noise and noise from epsilon', async () => {
    const forward = JSON.parse(
      (await run('account', '--noise', '11.3', '--rounds', '11', '--delta', '3e-6', '--json')).stdout,
    )
    expect(forward.epsilon).toBeCloseTo(1.188956, 6)
    expect(forward.substitution).toBeCloseTo(1.737271, 6)
    const back = JSON.parse(
      (await run('account', '--epsilon', '1.29', '--rounds', '11', '--delta', '3e-6', '--json')).stdout,
    )
    expect(back.noiseMultiplier).toBeCloseTo(10.485695549, 6)
  })

  it('prints both adjacencies, both viewers and every accountant that applies', async () => {
    const sampled = ['--noise', '2', '--rounds', '11', '--delta', '3e-6', '--sampling-rate', '0.1']
    const poisson = JSON.parse((await run('account', ...sampled, '--json')).stdout)
    expect(poisson.outside.addRemove).toBeCloseTo(0.918507, 5)
    expect(poisson.coordinator.addRemove).toBeGreaterThan(8)
    expect(poisson.accountants).toMatchObject({ analytic: null, zcdp: null })
    expect(poisson.accountants.rdp).toBeCloseTo(1.059673, 4)
    const fixed = await run('account', ...sampled, '--sampling', 'fixed')
    expect(fixed.stdout).toMatch(/outside: does not see who took part +- +1\.7288\d\d\n/)
    const plain = await run('account', '--noise', '11.3', '--rounds', '11', '--delta', '3e-6')
    expect(plain.stdout).toMatch(/everybody +1\.188956 +1\.737271/)
    expect(plain.stdout).toMatch(/analytic +1\.188956\n *rdp +1\.287481\n *zcdp +1\.287481/)
  })

  it.each([
    ['--noise 1 --rounds 3 --delta 2', '--delta must lie strictly between 0 and 1, got 2'],
    ['--noise 1 --rounds 2.5 --delta 1e-5', '--rounds must be a positive integer, got 2.5'],
    ['--noise 0 --rounds 3 --delta 1e-5', '--noise must be a number greater than 0, got 0'],
    ['--rounds 3 --delta 1e-5', 'expected either --noise or --epsilon'],
    [
      '--noise 1 --rounds 3 --delta 1e-5 --sampling-rate 1.5',
      '--sampling-rate must be greater than 0 and at most 1, got 1.5',
    ],
    [
      '--noise 1 --rounds 3 --delta 1e-5 --sampling-rate 0.5 --accountant analytic',
      '--accountant analytic cannot answer: expected Gaussian releases without sampling, got gaussian in poissonSampled',
    ],
    [
      '--noise 1 --rounds 3 --delta 1e-5 --sampling-rate 0.5 --adjacency substitution',
      '--sampling poisson is accounted under add-remove adjacency, got --adjacency substitution',
    ],
  ])('%s: %s', async (line, message) => {
    const { code, stderr } = await run('account', ...line.split(' '))
    expect(code).toBe(2)
    expect(stderr).toContain(message)
  })
})

describe('runs, report and ledger', () => {
  it('list, show and remove runs; the ledger stays', async () => {
    expect((await run('runs')).stdout).toMatch(/one +finished +canaries/)
    expect((await run('runs', 'show', 'one')).stdout).toMatch(/epsilon +8|epsilon +7\.99/)
    const ledger = join(made.folder, 'runs/ledgers/canaries.jsonl')
    expect((await run('ledger', 'verify', ledger, '--delta', '1e-5')).stdout).toMatch(/whole: \d+ entries/)
    expect((await run('ledger', 'show', ledger)).stdout).toMatch(
      /1 .* one-\w+ +round-1 +gaussian, noise multiplier 0\.84/,
    )
  })

  it('the report can be written again', async () => {
    const file = join(made.folder, 'again.html')
    expect((await run('report', join(made.folder, 'runs/one'), '--out', file)).code).toBe(0)
    expect(await readFile(file, 'utf8')).toBe(
      await readFile(join(made.folder, 'runs/one/report.html'), 'utf8'),
    )
  })
})

describe('export', () => {
  it('writes each format', async () => {
    const to = (name: string) => join(made.folder, name)
    for (const [format, target] of [
      ['jsonl', 'c.jsonl'],
      ['csv', 'c.csv'],
      ['parquet', 'c.parquet'],
      ['dataset', 'dataset'],
    ] as const) {
      const { code, stderr } = await run('export', 'runs/one', format, to(target))
      expect(stderr).not.toMatch(/error/)
      expect(code).toBe(0)
    }
    const bytes = new Uint8Array(await readFile(to('c.parquet')))
    expect(await parquetReadObjects({ file: bytes.buffer })).toHaveLength(20)
    expect((await readFile(to('c.csv'), 'utf8')).split('\n')[0]?.trim()).toBe('text')
    expect(existsSync(to('dataset/README.md'))).toBe(true)
    expect(await readFile(to('dataset/README.md'), 'utf8')).toMatch(/language:\s*\n?\s*-? ?en/)
    const tuned = await run(
      'export',
      'runs/one',
      'openai',
      to('tune.jsonl'),
      '--instruction',
      'Describe a package.',
    )
    expect(tuned.code).toBe(0)
    const [first] = (await readFile(to('tune.jsonl'), 'utf8')).split('\n')
    expect(JSON.parse(first as string).messages.map((m: { role: string }) => m.role)).toEqual([
      'user',
      'assistant',
    ])
  })
})

describe('init, doctor, models, completion', () => {
  it('init writes a config that plans, and never over a file', async () => {
    const args = [
      'init',
      'mine.yaml',
      '--texts',
      'clients.jsonl',
      '--client',
      'client',
      '--epsilon',
      '2',
      '--delta',
      '1e-6',
      '--hint',
      'a note',
    ]
    expect((await run(...args)).code).toBe(0)
    expect((await run('plan', 'mine.yaml')).stdout).toMatch(/epsilon +2\.0000/)
    const again = await run(...args)
    expect(again.code).toBe(2)
    expect(again.stderr).toMatch(/mine\.yaml is already there/)
    const silent = await run('init', 'other.yaml')
    expect(silent.code).toBe(2)
    expect(silent.stderr).toMatch(
      /expected --texts, --client, --epsilon, --delta, --hint \(no terminal to ask on\)/,
    )
  })

  it('doctor checks this machine and shows no key', async () => {
    const { stdout } = await runCli(['doctor'], {
      cwd: made.folder,
      env: { OPENAI_API_KEY: 'sk-hidden-key' },
    })
    expect(stdout).toMatch(/ok +Node +v\d+/)
    expect(stdout).toMatch(/ok +node-llama-cpp +loads/)
    expect(stdout).toMatch(/OPENAI_API_KEY +set/)
    expect(stdout).not.toContain('sk-hidden-key')
  })

  it('models lists what is here and what is not', async () => {
    const { stdout } = await run('models')
    expect(stdout).toMatch(/all-MiniLM-L6-v2 +embedder/)
    expect(stdout).toMatch(/SmolLM2-135M-Instruct-Q8_0 +llm/)
  })

  it('completion prints a script', async () => {
    expect((await run('completion')).stdout).toMatch(/_pretext_yargs_completions|###-begin-pretext/)
  })

  it('--help names every command', async () => {
    const { stdout } = await run('--help')
    for (const name of [
      'generate',
      'plan',
      'account',
      'init',
      'models',
      'runs',
      'report',
      'export',
      'ledger',
      'doctor',
    ]) {
      expect(stdout).toContain(`pretext ${name}`)
    }
  })
})
