// A tiny language model in a folder, made by tiny-lm.py, with what it says of some texts.
import { execFile } from 'node:child_process'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { sentence } from '../run/workspace.ts'

const run = promisify(execFile)

export interface TinyModel {
  readonly folder: string
  /** JSON lines of {client, text}. */
  readonly texts: string
  readonly clients: readonly { tokens: number; crossEntropy: number; correct: number[]; bytes: number }[]
}

export async function tinyModel(python: string): Promise<TinyModel> {
  const root = await mkdtemp(join(tmpdir(), 'tiny-lm-'))
  const texts = join(root, 'texts.jsonl')
  const rows = Array.from({ length: 14 }, (_, i) => ({
    client: i % 5,
    // Of different lengths, one of them far over 64 tokens, and one that is not ASCII.
    text:
      i === 3
        ? Array.from({ length: 12 }, (_, j) => sentence(j)).join(' ')
        : sentence(i, i === 4 ? 'é ü 名' : ''),
  }))
  await writeFile(texts, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  const folder = join(root, 'model')
  const { stdout } = await run(python, [resolve(import.meta.dirname, 'tiny-lm.py'), folder, texts])
  return { folder, texts, clients: JSON.parse(stdout.trimEnd().split('\n').at(-1) as string) }
}
