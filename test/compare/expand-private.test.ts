// Expand-private and expand-only: the same expansion, which differs in its seeds alone. Private texts go to a model in this
// process and to no other, not even in a simulation.
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import type { Arm, ArmTask } from '../../src/compare/arm.ts'
import { expandOnly } from '../../src/compare/arms/expand-only.ts'
import { expandPrivate } from '../../src/compare/arms/expand-private.ts'
import { loadConfig } from '../../src/config/load.ts'

const QUICKSTART = resolve(import.meta.dirname, '../../configs/quickstart.yaml')
const MADE = Symbol('the corpus is made')

/** Words that only clients use. */
const privateText = (i: number) =>
  Array.from({ length: 12 }, (_, k) => `secret${String.fromCharCode(97 + ((i + k) % 20))}`).join(' ')

/** Runs an arm until its corpus is there. */
async function corpusOf(arm: Arm, set: readonly string[] = []): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'expand-'))
  const clients = join(folder, 'clients.jsonl')
  const rows = Array.from({ length: 12 }, (_, i) => ({ client: `c${i}`, text: privateText(i) }))
  await writeFile(clients, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  let file = ''
  const task = {
    inputs: { clients },
    corpus: 0,
    configured: () =>
      loadConfig(QUICKSTART, {
        set: [
          'data.simulation=true',
          `data.private.path=${JSON.stringify(clients)}`,
          'llm.provider=scripted',
          'llm.model=scripted',
          'embeddings.model=hashing',
          'evolution.population=8',
          'evolution.variation.minWords=3',
          'generate.minWords=3',
          'generate.texts=6',
          ...set,
        ],
      }),
    async shared(_: string, make: (folder: string, resume: boolean) => Promise<{ file: string }>) {
      ;({ file } = await make(folder, false))
      throw MADE
    },
    onEvent: () => {},
  }
  await arm.run(task as unknown as ArmTask, arm.settings.parse({})).catch((stopped) => {
    if (stopped !== MADE) throw stopped
  })
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n')
  return lines.map((line) => (JSON.parse(line) as { text: string }).text)
}

const fromClients = (texts: readonly string[]) => texts.filter((text) => text.includes('secret'))

it('expand-private expands the texts of clients, expand-only none of them', async () => {
  const ceiling = await corpusOf(expandPrivate)
  expect(ceiling).toHaveLength(6)
  expect(fromClients(ceiling)).toHaveLength(6)
  const floor = await corpusOf(expandOnly)
  expect(floor).toHaveLength(6)
  expect(fromClients(floor)).toEqual([])
})

it('expand-private is a ceiling that promises nothing, expand-only uses no private text', () => {
  expect(expandPrivate).toMatchObject({ guarantee: 'none', epsilons: 'once' })
  expect(expandPrivate.noEpsilon).toContain('prompts')
  expect(expandOnly).toMatchObject({ guarantee: 'public', epsilons: 'once' })
  expect(expandOnly.noEpsilon).toBeUndefined()
})

it.each([
  ['openai', ['llm.provider=openai', 'llm.model=m', 'llm.baseUrl=http://127.0.0.1:9/v1']],
  ['huggingface', ['llm.provider=huggingface', 'llm.model=m']],
])('expand-private sends nothing to %s', async (provider, set) => {
  await expect(corpusOf(expandPrivate, set)).rejects.toThrow(
    `expected a language model in this process for expand-private, got ${provider}`,
  )
})
