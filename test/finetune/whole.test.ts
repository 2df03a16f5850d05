// The whole way by the command line, as a user goes it: generate, train, finetune, evaluate, and generate once more with the
// tuned model as the embedded LLM.
import { existsSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { CANARY, filesBelow, runCli, type Workspace, workspace } from '../run/workspace.ts'
import { testPython } from '../trainer/python.ts'

const SMALL = '--layers 2 --width 32 --heads 2 --feed-forward 64 --vocabulary 400'.split(' ')
const SHORT = '--epochs 6 --batch 8 --learning-rate 3e-3 --sequence-tokens 64 --threads 1 --device cpu'.split(
  ' ',
)

let space: Workspace

beforeAll(async () => {
  await testPython()
  space = await workspace()
}, 900_000)
afterAll(() => rm(space.folder, { recursive: true, force: true }))

async function pretext(...args: string[]): Promise<string> {
  const { code, stderr } = await runCli(args, { cwd: space.folder })
  expect(code, `pretext ${args[0]}: ${stderr}`).toBe(0)
  return stderr
}

it('from private texts to a tuned model that writes the next corpus', async () => {
  const { folder, config, out } = space
  await pretext('generate', config, '--out', out)
  const pretraining = ['--pretrain', join(folder, 'public.jsonl'), '--pretrain-epochs', '20']
  await pretext('train', out, ...SMALL, ...SHORT, ...pretraining)
  await pretext('finetune', out, '--model', join(out, 'train'), ...SHORT, '--micro-batch', '8')
  expect(existsSync(join(out, 'finetune/adapter/adapter_model.safetensors'))).toBe(true)

  const models = ['--model', join(out, 'train'), '--model', `tuned=${join(out, 'finetune')}`]
  await pretext('evaluate', out, ...models, '--resamples', '20', '--metrics', 'next-token', 'diversity')
  const evaluation = JSON.parse(await readFile(join(out, 'evaluation/evaluation.json'), 'utf8'))
  expect(evaluation.models.map((model: { name: string }) => model.name)).toEqual(['corpus', 'tuned'])

  const again = join(folder, 'again')
  const gguf = join(out, 'finetune/model.gguf')
  const set = [
    'llm.provider=llama',
    `llm.model=${gguf}`,
    'evolution.rounds=1',
    'evolution.population=8',
    'evolution.variation.maxTokens=24',
    'generate.texts=4',
    'generate.maxTokens=24',
    // Half of what so small a model writes is taken (48 of 85): fewer than 4 of 16 tries in 3 runs of 1,000, of 200 in none.
    'generate.maxTries=50',
  ]
  await pretext('generate', config, '--out', again, ...set.flatMap((each) => ['--set', each]))
  const report = JSON.parse(await readFile(join(again, 'report.json'), 'utf8'))
  expect(report.llm.id).toMatch(/^llama:model\.gguf@sha256:/)
  expect(report.corpus.texts).toBe(4)
  // What was learned is in it: words of the synthetic texts, and never one of the private texts.
  expect(await readFile(join(again, 'synthetic.jsonl'), 'utf8')).toMatch(
    /parser|image|mail|sound|network|kernel|editor|library|window|script|module|archive|server|client|font|map/,
  )
  for (const file of filesBelow(folder).filter((path) => !path.endsWith('clients.jsonl'))) {
    expect((await readFile(file)).includes(CANARY), file).toBe(false)
  }
})
