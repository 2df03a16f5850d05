// Training by the whole way, from a run folder to a model on the disk: what is written and said, kill -9, several processes,
// and a GGUF that pretext's own embedded LLM runs. (What the trainer does by itself: test/trainer/test_training.py.)
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import type { PretextEvent } from '../../src/events.ts'
import { readTrainingCorpus, type TrainingCorpus } from '../../src/finetune/corpus.ts'
import { startingModel } from '../../src/finetune/starting-model.ts'
import { type TrainOptions, trainModel } from '../../src/finetune/train.ts'
import { createLlamaModel } from '../../src/llm/llama.ts'
import { python, testPython } from '../trainer/python.ts'
import { corpusRun } from './corpus-run.ts'
import { TINY } from './tiny-training.ts'

let folder: string
let run: string
let corpus: TrainingCorpus
let first: Awaited<ReturnType<typeof trainModel>>
const events: PretextEvent[] = []

const train = (name: string, options: Partial<TrainOptions> = {}) =>
  trainModel({ ...TINY, corpus, out: join(folder, name), ...options })

const weights = async (name: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(join(folder, name, 'model/model.safetensors')))
    .digest('hex')

const record = async (name: string) => JSON.parse(await readFile(join(folder, name, 'training.json'), 'utf8'))

beforeAll(async () => {
  await testPython()
  folder = await mkdtemp(join(tmpdir(), 'train-'))
  run = await corpusRun(join(folder, 'run'))
  corpus = await readTrainingCorpus([run])
  first = await train('first', { onEvent: (event) => events.push(event) })
}, 900_000)

describe('a training', () => {
  it('leaves model, GGUF, card and record, and nothing else', () => {
    expect(readdirSync(join(folder, 'first')).sort()).toEqual([
      'README.md',
      'model',
      'model.gguf',
      'training.json',
    ])
    expect(readdirSync(join(folder, 'first/model'))).toEqual(
      expect.arrayContaining(['config.json', 'model.safetensors', 'tokenizer.json']),
    )
    const { result } = first
    expect(result).toMatchObject({
      architecture: 'llama',
      dequantised: false,
      processes: 1,
      precision: 'fp32',
    })
    expect(result.stages.map((stage) => [stage.name, stage.texts, stage.heldOut])).toEqual([
      ['public pre-training', 108, 12],
      ['training', 36, 4],
    ])
    for (const stage of result.stages) {
      expect(stage.validationLoss).toBeLessThan(stage.validationBefore ?? 0)
      expect(stage.validationLoss).toBe(Math.min(...stage.history.map((h) => h.validationLoss ?? Infinity)))
    }
  })

  it('says what it does: device, losses, and progress with speed', () => {
    const notes = events.flatMap((event) => (event.type === 'note' ? [event.message] : []))
    expect(notes).toContainEqual(expect.stringMatching(/^training on CPU \(1 thread\) \(PyTorch 2\./))
    expect(notes).toContainEqual(
      expect.stringMatching(/^training, epoch 1: loss \d\.\d{4}, on held-out texts \d\.\d{4}$/),
    )
    const details = events.flatMap((event) =>
      event.type === 'progress' && event.detail ? [event.detail] : [],
    )
    expect(details).toContainEqual(
      expect.stringMatching(/^loss \d\.\d{4}, [\d,]+ tokens\/s, .* left at most$/),
    )
    const stages = events.flatMap((event) =>
      event.type === 'stage' && event.stage === 'training' ? [event.label] : [],
    )
    expect(stages).toEqual(['public pre-training', 'training'])
  })

  it('carries the privacy statement of its corpus in card and record', async () => {
    const card = await readFile(join(folder, 'first/README.md'), 'utf8')
    expect(card).toContain('**ε = 7.58 at δ = ')
    expect(card).toContain('run-one')
    expect(card).toContain('### What this does not cover')
    expect(card).not.toContain('Simulation.')
    const made = await record('first')
    expect(made).toMatchObject({
      format: 'pretext-training',
      version: 1,
      seed: 1,
      simulation: false,
      corpus: {
        mix: null,
        parts: [{ run: 'run-one', texts: 40, privacy: { epsilon: 7.58, unit: 'client' } }],
      },
      result: { model: 'model', gguf: 'model.gguf' },
    })
    // No path of this machine is in what may be published.
    expect(card + JSON.stringify(made)).not.toContain(folder)
  })

  it('shared by two processes ends at the same loss', async () => {
    const { result } = await train('shared', { settings: { ...TINY.settings, processes: 2 } })
    expect(result.processes).toBe(2)
    const loss = (r: typeof result) => r.stages.at(-1)?.validationLoss ?? 0
    expect(Math.abs(loss(result) - loss(first.result))).toBeLessThan(1e-3)
  })
})

describe('settings that nothing can begin with', () => {
  it('leave no training behind that was not finished', async () => {
    await expect(train('odd/model', { model: { ...TINY.model, heads: 3 } })).rejects.toMatchObject({
      code: 'config',
      message: 'expected a width that 3 heads divide, got 32',
    })
    expect(existsSync(join(folder, 'odd'))).toBe(false)
    // A folder that was there stays.
    const own = join(folder, 'own-empty')
    await mkdir(own)
    await expect(train('own-empty', { model: { ...TINY.model, heads: 3 } })).rejects.toThrow('heads divide')
    expect(readdirSync(own)).toEqual([])
  })
})

describe('killed', () => {
  /** Starts a training in a group of its own, and kills all of it once `when` was printed. */
  function killed(out: string, when: RegExp): Promise<void> {
    const child = join(import.meta.dirname, 'train-child.ts')
    return new Promise((resolve, reject) => {
      const started = spawn(process.execPath, ['--import', 'tsx', child, out, run], {
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      let said = ''
      started.stdout.setEncoding('utf8').on('data', (text: string) => {
        said += text
        if (when.test(said)) process.kill(-(started.pid as number), 'SIGKILL')
      })
      started.stderr.setEncoding('utf8').on('data', (text: string) => {
        said += text
      })
      started.on('close', (code, signal) =>
        signal === 'SIGKILL' ? resolve() : reject(new Error(`ended with ${code}: ${said}`)),
      )
    })
  }

  it('by SIGKILL in the middle of an epoch, it goes on to the same losses', async () => {
    const out = join(folder, 'killed')
    await killed(out, /^training: checkpoint [1-9]/m)
    expect(existsSync(join(out, 'checkpoints'))).toBe(true)
    await expect(train('killed')).rejects.toMatchObject({
      code: 'usage',
      message: `${out} holds a training that was not finished`,
      hint: expect.stringContaining('--resume'),
    })
    const notes: string[] = []
    const { result } = await train('killed', {
      resume: true,
      onEvent: (event) => event.type === 'note' && notes.push(event.message),
    })
    expect(notes).toContainEqual(expect.stringMatching(/^resumed training at step [1-9]\d* of 15$/))
    for (const [i, stage] of result.stages.entries()) {
      const whole = first.result.stages[i]
      expect(stage.history).toHaveLength(whole?.history.length ?? 0)
      for (const [j, { trainLoss, validationLoss }] of stage.history.entries()) {
        expect(Math.abs(trainLoss - (whole?.history[j]?.trainLoss ?? 0))).toBeLessThan(1e-3)
        expect(Math.abs((validationLoss ?? 0) - (whole?.history[j]?.validationLoss ?? 0))).toBeLessThan(1e-3)
      }
    }
    expect(await weights('killed')).toBe(await weights('first'))
  })
})

describe('what is refused before Python starts', () => {
  const onEvent = () => {}

  it('a folder that something lies in', async () => {
    await expect(train('first')).rejects.toThrow(`${join(folder, 'first')} holds a finished training`)
    await expect(train('nothing-yet', { resume: true })).rejects.toThrow(
      'expected a training to resume, found none',
    )
    await expect(trainModel({ ...TINY, corpus, out: run })).rejects.toThrow(
      'expected an empty folder for the model, got one with',
    )
    await expect(trainModel({ ...TINY, corpus, out: join(run, 'report.json') })).rejects.toThrow(
      'expected a folder for the model, got a file',
    )
  })

  it('nothing to train on', async () => {
    await expect(train('nothing', { corpus: null, pretraining: null })).rejects.toThrow(
      'expected a corpus or public texts to train on, got neither',
    )
  })

  it('the model that wrote the corpus', async () => {
    const llm = 'llama:SmolLM2-135M-Instruct.Q4_1.gguf@sha256:b179c9523d0e6a0f'
    const own = await readTrainingCorpus([await corpusRun(join(folder, 'own'), { llm })])
    const model = await startingModel(join(folder, 'first'), { onEvent })
    const modelName = 'HuggingFaceTB/SmolLM2-135M-Instruct'
    await expect(train('teacher', { corpus: own, model, modelName })).rejects.toMatchObject({
      code: 'config',
      message: `${modelName} wrote this corpus (${llm}): a generator cannot teach itself`,
    })
    expect(existsSync(join(folder, 'teacher'))).toBe(false)
    // Said to be wanted, it goes on, loudly: here to a Python that is not there.
    const warnings: string[] = []
    const environment = { env: { ...process.env, PRETEXT_PYTHON: '/no/python' } }
    const wanted = train('teacher', {
      ...{ corpus: own, model, modelName, environment },
      allowGenerator: true,
      onEvent: (event) => event.type === 'warning' && warnings.push(event.message),
    })
    await expect(wanted).rejects.toThrow('PRETEXT_PYTHON=/no/python is not there')
    expect(warnings).toEqual([expect.stringContaining('a generator cannot teach itself; what is measured')])
  })

  it('a start that is no model', async () => {
    await expect(startingModel('nothing here', { onEvent })).rejects.toThrow(
      'nothing here: expected a model folder, a GGUF file, a name of "pretext models", or a Hub id (owner/name), found none',
    )
    const file = join(folder, 'weights.bin')
    await writeFile(file, 'x')
    await expect(startingModel(file, { onEvent })).rejects.toThrow(
      `${file}: expected a model folder or a GGUF file, got another file`,
    )
    const hub = { from: 'hub', model: 'owner/name', revision: 'v1' }
    expect(await startingModel('owner/name@v1', { onEvent })).toEqual(hub)
    expect(await startingModel(join(folder, 'first'), { onEvent })).toEqual({
      from: 'folder',
      model: join(folder, 'first/model'),
    })
  })
})

describe('the GGUF', () => {
  it('writes the text in the embedded LLM that the folder writes in Transformers', async () => {
    const modelPath = join(folder, 'first/model.gguf')
    const sha256 = createHash('sha256')
      .update(await readFile(modelPath))
      .digest('hex')
    const model = await createLlamaModel({ modelPath, sha256, sequences: 1, contextTokens: 128, gpu: false })
    const script = `
import sys
from transformers import AutoModelForCausalLM, AutoTokenizer
t = AutoTokenizer.from_pretrained(sys.argv[1])
m = AutoModelForCausalLM.from_pretrained(sys.argv[1])
ids = t("The mail", return_tensors="pt")["input_ids"]
made = m.generate(ids, max_new_tokens=12, do_sample=False)[0, ids.shape[1]:]
print(t.decode(made, skip_special_tokens=True), end="")`
    try {
      const completion = await model.complete({
        input: { prompt: 'The mail' },
        maxTokens: 12,
        sampling: { temperature: 0, topP: 1 },
        stop: [],
        seed: 1,
      })
      expect(completion.text.trim()).not.toBe('')
      const { stdout, code } = await python(['-c', script, join(folder, 'first/model')])
      expect(code).toBe(0)
      expect(completion.text.trim()).toBe(stdout.trim())
    } finally {
      await model.dispose()
      await rm(folder, { recursive: true, force: true })
    }
  })
})
