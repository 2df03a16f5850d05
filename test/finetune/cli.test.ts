// The command lines of training, as far as they go without Python: what is wrong is told before anything is set up.
import { existsSync } from 'node:fs'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { main } from '../../src/cli/main.ts'
import { corpusRun } from './corpus-run.ts'

let folder: string
let run: string
let file: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'train-cli-'))
  run = await corpusRun(join(folder, 'run'))
  file = join(folder, 'corpus.jsonl')
  await writeFile(file, '{"text":"one mail parser"}\n')
  // Nothing here may start to install anything.
  vi.stubEnv('PRETEXT_PYTHON', join(folder, 'no-python'))
})
afterEach(() => {
  vi.restoreAllMocks()
})

async function said(...args: string[]): Promise<{ code: number; stderr: string }> {
  let stderr = ''
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    stderr += text
    return true
  })
  const code = await main(args)
  return { code, stderr }
}

describe('pretext train', () => {
  it('wants a place where no corpus gives one', async () => {
    const { code, stderr } = await said('train')
    expect(code).toBe(2)
    expect(stderr).toContain('expected --out, the folder of the model, where no corpus is named')
  })

  it('takes no architecture beside a checkpoint', async () => {
    const { code, stderr } = await said('train', file, '--from', 'a/b', '--layers', '3', '--tokenizer', 'x')
    expect(code).toBe(2)
    expect(stderr).toContain(
      'expected no layers, tokenizer beside --from: a checkpoint brings its own architecture and vocabulary',
    )
  })

  it('takes public texts or none', async () => {
    for (const both of [
      ['--no-pretrain', '--pretrain', file],
      ['--pretrain', file, '--no-pretrain'],
    ]) {
      const { code, stderr } = await said('train', file, ...both)
      expect(code).toBe(2)
      expect(stderr).toContain('expected --pretrain FILE or --no-pretrain, got both')
    }
  })

  it('wants no --mix for one file without a report, and its help says so', async () => {
    const { stderr } = await said('train', file, '--no-pretrain')
    expect(stderr).toContain('PRETEXT_PYTHON')
    const help = vi.spyOn(console, 'log').mockImplementation(() => {})
    await main(['train', '--help'])
    const text = String(help.mock.calls[0]?.[0]).replace(/\s+/g, ' ')
    expect(text).toContain('--mix Train on several runs or files together;')
    expect(text).toContain('(finetune --provider openai: also for one file without the report of a run)')
    expect(text).toContain('(default: 20; finetune: 1, with --provider openai 3)')
  })

  it('refuses an empty corpus and a mixture, and leaves no folder', async () => {
    const empty = join(folder, 'empty.jsonl')
    await writeFile(empty, '')
    const nothing = await said('train', empty, '--out', join(folder, 'out'))
    expect(nothing.code).toBe(4)
    expect(nothing.stderr).toContain(`${empty}: expected rows with texts, got an empty file`)
    const other = await corpusRun(join(folder, 'other'), { id: 'run-two', epsilon: 1.29 })
    const mixed = await said('train', run, other)
    expect(mixed.code).toBe(4)
    expect(mixed.stderr).toContain('--mix "..."')
    expect(existsSync(join(folder, 'out'))).toBe(false)
    expect(existsSync(join(run, 'train'))).toBe(false)
  })

  it('without Python says what to do, with exit code 5', async () => {
    const { code, stderr } = await said('train', run, '--no-pretrain')
    expect(code).toBe(5)
    expect(stderr).toContain('is not there')
    expect(stderr).toContain('install Python 3.11 or newer')
    expect(existsSync(join(run, 'train'))).toBe(false)
  })
})

describe('pretext finetune', () => {
  it('wants a model that exists', async () => {
    const { code, stderr } = await said('finetune', run, '--model', 'no model')
    expect(code).toBe(3)
    expect(stderr).toContain('no model: expected a model folder, a GGUF file')
  })

  it('at an endpoint takes no option that the endpoint would not hear of', async () => {
    const openai = ['finetune', run, '--provider', 'openai', '--model', 'm', '--yes']
    const local = ['--rank', '4', '--quantise', 'nf4', '--schedule', 'linear', '--patience', '3', '--no-gguf']
    const { code, stderr } = await said(...openai, '--instruction', 'Write.', ...local)
    expect(code).toBe(2)
    expect(stderr).toContain(
      'expected no --rank, --quantise, --schedule, --patience, --no-gguf with --provider openai: the endpoint takes only --epochs, --batch and --seed\n',
    )
    const taken = await said(...openai, '--epochs', '2', '--batch', '3', '--seed', '1')
    expect(taken.stderr).toContain('expected --instruction')
  })

  it('refuses the model that wrote the corpus', async () => {
    const own = await corpusRun(join(folder, 'own'), { llm: 'huggingface:owner/Tiny-1B' })
    const { code, stderr } = await said('finetune', own, '--model', 'owner/Tiny-1B')
    expect(code).toBe(3)
    expect(stderr).toContain('a generator cannot teach itself')
    expect(stderr).toContain('--allow-generator')
  })
})
