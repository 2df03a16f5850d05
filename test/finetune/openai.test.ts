// Fine-tuning by the OpenAI API with the real SDK against a local server: the whole way, every fault on it, kill -9 in the
// middle, and that nothing is uploaded or paid twice.
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { PretextEvent } from '../../src/events.ts'
import { type OpenAiFineTuneOptions, openAiFineTune } from '../../src/finetune/openai.ts'
import { trainingPriceOf } from '../../src/llm/prices.ts'
import { answers, garbage, html, KEY, resets } from '../llm/server.ts'
import { rows } from './openai-corpus.ts'
import { type OpenAiServer, startOpenAiServer } from './openai-server.ts'

let server: OpenAiServer
let folder: string
let events: PretextEvent[]
let sleeps: number[]

beforeEach(async () => {
  server = await startOpenAiServer()
  folder = await mkdtemp(join(tmpdir(), 'openai-'))
  events = []
  sleeps = []
})
afterEach(() => server.close())

const tune = (change: Partial<OpenAiFineTuneOptions> = {}) =>
  openAiFineTune({
    rows: rows(12),
    folder,
    model: 'gpt-4o-mini-2024-07-18',
    instruction: 'Write a short text.',
    simulation: false,
    confirm: async () => true,
    baseUrl: server.baseUrl,
    env: { OPENAI_API_KEY: KEY },
    sleep: async (ms) => {
      sleeps.push(ms)
    },
    onEvent: (event) => events.push(event),
    ...change,
  })
const stateIn = async () => JSON.parse(await readFile(join(folder, 'openai.json'), 'utf8'))
const count = (name: string) => server.seen.filter((each) => each === name).length
const created = () => ({ files: server.files.length, jobs: server.jobs.length })

describe('the whole way', () => {
  it('uploads the corpus once, creates a supervised job, follows it, and names the tuned model', async () => {
    const tuned = await tune({
      epochs: 2,
      batchSize: 4,
      learningRateMultiplier: 0.5,
      seed: 7,
      suffix: 'mine',
    })
    expect(tuned).toMatchObject({
      jobId: 'ftjob-1',
      model: 'ft:gpt-4o-mini-2024-07-18:org::abc123',
      trainedTokens: 4321,
    })
    expect(created()).toEqual({ files: 1, jobs: 1 })
    expect(server.keys).toEqual(new Set([`Bearer ${KEY}`]))
    const file = server.files[0]
    expect(file?.purpose).toBe('fine-tune')
    expect(file?.content).toBe(await readFile(join(folder, 'training.jsonl'), 'utf8'))
    expect(JSON.parse(file?.content.split('\n')[3] as string)).toEqual({
      messages: [
        { role: 'user', content: 'Write a short text.' },
        { role: 'assistant', content: 'A synthetic text, number 3.' },
      ],
    })
    expect(server.jobs[0]?.body).toMatchObject({
      model: 'gpt-4o-mini-2024-07-18',
      training_file: 'file-1',
      seed: 7,
      suffix: 'mine',
      method: {
        type: 'supervised',
        supervised: { hyperparameters: { n_epochs: 2, batch_size: 4, learning_rate_multiplier: 0.5 } },
      },
    })
    expect(server.jobs[0]?.body).not.toHaveProperty('hyperparameters')
    expect(await stateIn()).toMatchObject({ status: 'succeeded', jobId: 'ftjob-1', fileId: 'file-1' })
    expect(events.filter((event) => event.type === 'progress')).toEqual([
      { type: 'progress', stage: 'training', done: 1, total: 3 },
      { type: 'progress', stage: 'training', done: 2, total: 3 },
    ])
    expect(events).toContainEqual({
      type: 'note',
      message: 'fine-tuning job ftjob-1: Validating training file',
    })
  })

  it('the same call after the end asks nothing, and gives the same model', async () => {
    const tuned = await tune()
    const asked = server.seen.length
    expect(await tune({ confirm: async () => expect.unreachable('asked again') })).toEqual(tuned)
    expect(server.seen.length).toBe(asked)
  })

  it('says in the job that the corpus is of a simulation', async () => {
    await tune({ simulation: true })
    expect(server.jobs[0]?.body.metadata).toMatchObject({ simulation: 'true' })
    expect((await stateIn()).simulation).toBe(true)
  })
})

describe('cost', () => {
  it('is shown before anything is uploaded: tokens of all epochs at the dated price', async () => {
    let shown: unknown
    const stopped = tune({
      confirm: async (estimate) => {
        shown = estimate
        expect(server.seen).toEqual([])
        return false
      },
    })
    await expect(stopped).rejects.toMatchObject({
      code: 'cost',
      message: 'the fine-tuning was not confirmed; nothing was uploaded and nothing spent',
    })
    expect(server.seen).toEqual([])
    // In each example: 5 tokens of the instruction, 8 of the text, 4 around each message.
    expect(shown).toMatchObject({ examples: 12, epochs: 3, pricesAsOf: '2025-08-07' })
    const { tokens, dollars } = shown as { tokens: number; dollars: number }
    expect(tokens % 3).toBe(0)
    expect(tokens / 3).toBe(12 * (5 + 8 + 8))
    expect(dollars).toBeCloseTo((tokens * 3) / 1e6, 12)
  })

  it('is held to --max-cost, also where no price is known', async () => {
    await expect(tune({ maxCost: 0.000001, price: 1000 })).rejects.toMatchObject({
      code: 'cost',
      message: 'the fine-tuning would cost about $0.76, over --max-cost 0.000001; nothing was uploaded',
    })
    await expect(tune({ maxCost: 1, model: 'my-own-model' })).rejects.toMatchObject({
      code: 'cost',
      message: 'the price of training my-own-model is not known, so --max-cost cannot be held',
    })
    expect(server.seen).toEqual([])
  })

  it('knows snapshots by the name of their model', () => {
    expect(trainingPriceOf('gpt-4.1-nano-2025-04-14')).toBe(1.5)
    expect(trainingPriceOf('llama-3-8b')).toBeNull()
  })
})

describe('faults', () => {
  it('tries again after 429 and 500, as long as the endpoint asks', async () => {
    server.faults.set('POST /files', [answers(429, 'slow down', { 'retry-after': '2' }), answers(500)])
    server.faults.set('POST /fine_tuning/jobs', [answers(503)])
    server.faults.set('GET /fine_tuning/jobs/:id', [answers(500), garbage, resets, html])
    await tune()
    expect(created()).toEqual({ files: 1, jobs: 1 })
    expect(sleeps[0]).toBe(2000)
    const warnings = events.filter((event) => event.type === 'warning')
    expect(warnings[0]?.message).toBe(
      `uploading the training file: ${server.baseUrl} answered 429: slow down; trying again`,
    )
  })

  it('an answer lost on its way is looked up: one file and one job, however many others there are', async () => {
    for (const name of ['a', 'b', 'c']) {
      server.files.push({ id: `file-${name}`, filename: `${name}.jsonl`, purpose: 'fine-tune', content: '' })
    }
    server.jobs.push({ id: 'ftjob-9', body: { training_file: 'file-a', model: 'other' }, polls: 0 })
    server.lost.add('POST /files').add('POST /fine_tuning/jobs')
    const tuned = await tune()
    expect(tuned.jobId).toBe('ftjob-2')
    expect(created()).toEqual({ files: 4, jobs: 2 })
    expect([count('POST /files'), count('POST /fine_tuning/jobs')]).toEqual([1, 1])
  })

  it('a job that failed says why, for ever', async () => {
    server.outcome = 'invalid'
    const failure = {
      code: 'provider',
      message:
        'fine-tuning job ftjob-1 failed: The job failed due to an invalid training file. Expected at least 10 examples.',
    }
    await expect(tune()).rejects.toMatchObject(failure)
    await expect(tune()).rejects.toMatchObject(failure)
    expect(created()).toEqual({ files: 1, jobs: 1 })
  })

  it.each([
    ['failed', 'fine-tuning job ftjob-1 failed: The job failed due to an internal error.'],
    ['cancelled', 'fine-tuning job ftjob-1 ended: it was cancelled'],
  ] as const)('a job that is %s is an error of the provider', async (outcome, message) => {
    server.outcome = outcome
    await expect(tune()).rejects.toMatchObject({ code: 'provider', message })
  })

  it('a key that is refused ends it at once, without the key in the message', async () => {
    server.faults.set('POST /files', [answers(401, `Incorrect API key provided: ${KEY}`)])
    await expect(tune()).rejects.toMatchObject({
      code: 'dependency',
      message: 'uploading the training file: the endpoint answered 401: Incorrect API key provided: [key]',
      hint: 'check the key in the environment variable OPENAI_API_KEY',
    })
    expect(sleeps).toEqual([])
  })

  it('an endpoint without the fine-tuning API is named as such', async () => {
    server.faults.set('POST /fine_tuning/jobs', [answers(404, 'Not Found')])
    await expect(tune()).rejects.toMatchObject({
      code: 'dependency',
      message: 'creating the fine-tuning job: the endpoint answered 404: Not Found',
    })
  })

  it('gives up after its patience, and goes on at the next call', async () => {
    let now = 0
    server.faults.set(
      'POST /fine_tuning/jobs',
      Array.from({ length: 50 }, () => answers(500)),
    )
    const sleep = async (ms: number) => {
      now += ms
    }
    const clock = { now: () => now, sleep }
    await expect(tune(clock)).rejects.toMatchObject({
      code: 'provider',
      message: expect.stringMatching(
        /^creating the fine-tuning job: http.* answered 500: no \(\d+ attempts\)$/,
      ),
    })
    server.faults.clear()
    await tune()
    expect(created()).toEqual({ files: 1, jobs: 1 })
  })
})

describe('bad input', () => {
  it('needs a key, ten examples, an instruction', async () => {
    await expect(tune({ env: {}, apiKeyEnv: 'MY_KEY' })).rejects.toMatchObject({
      code: 'dependency',
      message: 'expected the API key in the environment variable MY_KEY, it is not set',
    })
    await expect(tune({ rows: rows(9) })).rejects.toMatchObject({
      code: 'data',
      message: `${join(folder, 'training.jsonl')}: expected at least 10 examples, got 9`,
    })
    await expect(tune({ instruction: ' ' })).rejects.toMatchObject({
      message: 'expected an instruction for the user turn, got an empty one',
    })
    expect(server.seen).toEqual([])
  })

  it('refuses to go on with another corpus or other settings', async () => {
    await tune()
    await expect(tune({ rows: rows(13), epochs: 4 })).rejects.toMatchObject({
      code: 'config',
      message: `${folder} holds another fine-tuning (different: corpus or instruction, epochs)`,
    })
    expect(created()).toEqual({ files: 1, jobs: 1 })
  })
})

describe('stopping', () => {
  it('Ctrl-C leaves the job at work and says how to go on', async () => {
    server.polls = Number.POSITIVE_INFINITY
    const controller = new AbortController()
    const stopped = tune({
      signal: controller.signal,
      sleep: async () => {
        controller.abort()
        controller.signal.throwIfAborted()
      },
    })
    await expect(stopped).rejects.toMatchObject({
      code: 'interrupted',
      message: 'stopped; job ftjob-1 goes on at the endpoint',
    })
    server.polls = 2
    expect((await tune()).jobId).toBe('ftjob-1')
    expect(created()).toEqual({ files: 1, jobs: 1 })
  })

  const CHILD = resolve(import.meta.dirname, 'openai-child.ts')
  const child = () => {
    const started = spawn(process.execPath, ['--import', 'tsx', CHILD, server.baseUrl, folder], {
      env: { ...process.env, OPENAI_API_KEY: KEY },
    })
    let out = ''
    started.stdout.on('data', (data) => {
      out += data
    })
    const ended = new Promise<string>((done) => started.on('close', () => done(out)))
    return { started, ended }
  }

  it.each(['POST /files', 'POST /fine_tuning/jobs', 'GET /fine_tuning/jobs/:id'])(
    'kill -9 while it waits for the answer of %s: the next process goes on, with one file and one job',
    async (at) => {
      // The request is served, then the process dies before it hears of it.
      const first = child()
      const died = new Promise<void>((done) => {
        const look = setInterval(() => {
          if (!server.seen.includes(at)) return
          clearInterval(look)
          first.started.kill('SIGKILL')
          done()
        }, 1)
      })
      server.polls = Number.POSITIVE_INFINITY
      await died
      await first.ended
      server.polls = 2
      expect(await child().ended).toBe('ft:gpt-4o-mini-2024-07-18:org::abc123')
      expect(created()).toEqual({ files: 1, jobs: 1 })
    },
  )
})

describe('pretext finetune --provider openai', () => {
  const CLI = resolve(import.meta.dirname, '../batch/cli-child.ts')
  const STATED = ['--mix', 'synthetic sentences of a test'] as const
  const cli = (...more: string[]) => cliOn(rows(12), ...more)
  async function cliOn(texts: readonly { text: string; label?: string }[], ...more: string[]) {
    const corpus = join(folder, 'corpus.jsonl')
    await writeFile(corpus, texts.map((row) => `${JSON.stringify(row)}\n`).join(''))
    const args = ['finetune', corpus, '--provider', 'openai', '--model', 'gpt-4o-mini', ...more]
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', CLI, ...args, '--base-url', server.baseUrl, '--out', join(folder, 'tuned')],
      { env: { ...process.env, OPENAI_API_KEY: KEY, NO_COLOR: '1' }, stdio: ['ignore', 'pipe', 'pipe'] },
    )
    const text = { stdout: '', stderr: '' }
    child.stdout.on('data', (data) => {
      text.stdout += data
    })
    child.stderr.on('data', (data) => {
      text.stderr += data
    })
    const code = await new Promise<number | null>((done) => child.on('close', done))
    return { code, ...text }
  }

  it('uploads no file that might be the private texts: without a report somebody has to say what it is', async () => {
    const { code, stderr } = await cli('--instruction', 'Write one.', '--yes')
    expect(code).toBe(4)
    expect(stderr).toContain('expected the corpus of a run to upload, got a file without its report')
    expect(server.seen).toEqual([])
  })

  it('shows the cost, tunes with --yes, and writes a card without the key', async () => {
    server.polls = 1
    const { code, stdout, stderr } = await cli('--instruction', 'Write one.', '--yes', '--json', ...STATED)
    expect(stderr).toContain(
      'fine-tuning gpt-4o-mini on 12 examples for 3 epochs: about 684 tokens, cost: less than $0.01',
    )
    expect({ code, ...JSON.parse(stdout) }).toMatchObject({
      code: 0,
      ok: true,
      model: 'ft:gpt-4o-mini:org::abc123',
      jobId: 'ftjob-1',
    })
    const card = await readFile(join(folder, 'tuned', 'README.md'), 'utf8')
    expect(card).toContain('model: "ft:gpt-4o-mini:org::abc123"')
    expect(card).toContain('nothing is known here of its privacy')
    expect(stdout + stderr + card).not.toContain(KEY)
  })

  it('asks nobody and pays nothing without --yes and a terminal', async () => {
    const { code, stderr } = await cli('--instruction', 'Write one.', ...STATED)
    expect(code).toBe(7)
    expect(stderr).toContain('expected --yes, as there is no terminal to ask at')
    expect(server.seen).toEqual([])
  })

  it('puts the label of each text into the instruction', async () => {
    server.polls = 1
    const labelled = rows(12).map((row, i) => ({ ...row, label: i % 2 === 0 ? 'praise' : 'blame' }))
    const { code } = await cliOn(labelled, '--instruction', 'Write some {label}.', '--yes', ...STATED)
    expect(code).toBe(0)
    const lines = server.files[0]?.content.trimEnd().split('\n') ?? []
    expect(lines.map((line) => JSON.parse(line).messages[0].content)).toEqual(
      labelled.map(({ label }) => `Write some ${label}.`),
    )
  })

  it('without labels refuses an instruction that wants them', async () => {
    const { code, stderr } = await cli('--instruction', 'Write some {label}.', '--yes', ...STATED)
    expect(code).toBe(4)
    expect(stderr).toContain('row 1: the instruction has {label}, and the row has no label')
    expect(server.seen).toEqual([])
  })
})
