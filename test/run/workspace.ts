// A folder with private texts that carry canaries, a config, and the real command line to run on them.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { stringify } from 'yaml'
import { seededRandom } from '../../src/random.ts'

const BIN = resolve(import.meta.dirname, '../../bin/pretext.js')

/** A word that is in every private text and nowhere else, and a client id that nobody else has. */
export const CANARY = 'zebrafinchquartz4417'
export const CLIENT_CANARY = 'client-hollyhock-9902'

const WORDS =
  'parser image mail sound network kernel editor library window script module archive server client font map'.split(
    ' ',
  )

export function sentence(seed: number, extra = ''): string {
  const random = seededRandom(seed, 'sentence')
  const words = Array.from({ length: 12 }, () => random.pick(WORDS))
  return `The ${words.join(' ')} ${extra}`.trim().concat('.')
}

export interface Workspace {
  readonly folder: string
  readonly config: string
  readonly out: string
}

type Overrides = Record<string, unknown>

/** Writes data and config; `change` may edit the config object before it is written. */
export async function workspace(change: (config: ConfigObject) => void = () => {}): Promise<Workspace> {
  const folder = await mkdtemp(join(tmpdir(), 'run-'))
  const rows = Array.from({ length: 40 }, (_, c) =>
    Array.from({ length: 1 + (c % 4) }, (_, t) => ({
      client: `${CLIENT_CANARY}-${c}`,
      label: c % 2 === 0 ? 'even' : 'odd',
      text: sentence(1000 + c * 10 + t, `${CANARY}${c}`),
    })),
  ).flat()
  await writeFile(join(folder, 'clients.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  const consented = Array.from({ length: 12 }, (_, c) => ({
    client: `other-${c}`,
    label: 'even',
    text: sentence(5000 + c),
  }))
  await writeFile(
    join(folder, 'consented.jsonl'),
    consented.map((row) => `${JSON.stringify(row)}\n`).join(''),
  )
  const publicTexts = Array.from({ length: 60 }, (_, i) => ({ text: sentence(i) }))
  await writeFile(join(folder, 'public.jsonl'), publicTexts.map((row) => `${JSON.stringify(row)}\n`).join(''))
  const config: ConfigObject = {
    name: 'test',
    seed: 1,
    data: {
      dataset: 'canaries',
      private: { path: 'clients.jsonl', client: 'client' },
      consented: { path: 'consented.jsonl', client: 'client' },
      public: { path: 'public.jsonl' },
    },
    privacy: { unit: 'client', epsilon: 8, delta: 1e-5 },
    embeddings: { model: 'hashing' },
    histogram: { maxTextsPerClient: 3 },
    evolution: { rounds: 2, population: 16, variation: { minWords: 3 } },
    llm: { provider: 'scripted', model: 'scripted' },
    generate: { texts: 20, minWords: 3 },
    output: { folder: 'runs' },
  }
  change(config)
  const file = join(folder, 'config.yaml')
  await writeFile(file, stringify(config))
  return { folder, config: file, out: join(folder, 'out') }
}

export interface ConfigObject {
  name: string
  seed: number
  data: Overrides & { private: Overrides; consented?: Overrides }
  privacy: Overrides
  embeddings: Overrides
  histogram: Overrides
  evolution: Overrides & { variation: Overrides }
  llm: Overrides
  generate: Overrides
  output: Overrides
}

export interface Finished {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly finished: Promise<Finished>
  kill(signal: NodeJS.Signals): void
}

/** Starts the command line; `shell` runs before it (ulimit and the like). */
export function startCli(
  args: readonly string[],
  options: { cwd: string; env?: NodeJS.ProcessEnv; shell?: string },
): Running {
  const env = { ...process.env, NO_COLOR: '1', ...options.env }
  const command = [process.execPath, BIN, ...args]
  const child =
    options.shell === undefined
      ? spawn(command[0] as string, command.slice(1), { cwd: options.cwd, env })
      : spawn('bash', ['-c', `${options.shell}; exec "$@"`, 'bash', ...command], { cwd: options.cwd, env })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (data) => {
    stdout += data
  })
  child.stderr.on('data', (data) => {
    stderr += data
  })
  return {
    finished: new Promise((resolve) => {
      child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
    }),
    kill: (signal) => child.kill(signal),
  }
}

export function runCli(args: readonly string[], options: Parameters<typeof startCli>[1]): Promise<Finished> {
  return startCli(args, options).finished
}

export function filesBelow(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    return statSync(path).isDirectory() ? filesBelow(path) : [path]
  })
}

/** The private texts of the workspace, all of them. */
const privateTexts = Array.from({ length: 40 }, (_, c) =>
  Array.from({ length: 1 + (c % 4) }, (_, t) => sentence(1000 + c * 10 + t, `${CANARY}${c}`)),
).flat()

const words = (text: string): string[] => text.toLowerCase().match(/[a-z0-9]+/g) ?? []
const GRAM = 8
const gramsOf = (text: string): string[] => {
  const all = words(text)
  return all.slice(GRAM - 1).map((_, i) => all.slice(i, i + GRAM).join(' '))
}

/** Every form in which a secret could have got out, in lower case, by name. */
function formsOf(secret: string): [string, string][] {
  const bytes = [...Buffer.from(secret)]
  const forms: [string, string][] = [
    ['plain', secret],
    ['reversed', [...secret].reverse().join('')],
    ['hex', Buffer.from(secret).toString('hex')],
    ['url-encoded', encodeURIComponent(secret)],
    ['escaped', bytes.map((byte) => `\\u${byte.toString(16).padStart(4, '0')}`).join('')],
    ['url-encoded bytes', bytes.map((byte) => `%${byte.toString(16)}`).join('')],
    ['bytes', bytes.join(',')],
    ['bytes, spaced', bytes.join(', ')],
  ]
  // Base64 at each of the three alignments, without the characters that depend on the neighbours.
  for (const pad of ['', 'x', 'xx']) {
    const base64 = Buffer.from(pad + secret).toString('base64')
    forms.push([`base64/${pad.length}`, base64.slice(pad.length === 0 ? 0 : 4, -4)])
  }
  for (const algorithm of ['sha256', 'sha1', 'md5']) {
    const digest = createHash(algorithm).update(secret).digest()
    forms.push(
      [algorithm, digest.toString('hex')],
      [`${algorithm}, base64`, digest.toString('base64').slice(0, 20)],
    )
  }
  return forms.map(([name, form]) => [name, form.toLowerCase()])
}

const SECRETS = [CANARY, CLIENT_CANARY]
const forms = [
  ...SECRETS.flatMap((secret) =>
    formsOf(secret).map(([name, form]) => [`${name} of ${secret}`, form] as const),
  ),
  ...privateTexts.flatMap((text, i) =>
    formsOf(text)
      .filter(([name]) => /^(sha|md5)/.test(name))
      .map(([name, form]) => [`${name} of text ${i}`, form] as const),
  ),
]
const grams = new Set(privateTexts.flatMap(gramsOf))

/** What leaked into one string: by form, by 8 words in a row, or in pieces as a tokenizer leaves them. */
export function leaksIn(content: string): string[] {
  const lower = content.toLowerCase()
  const found = forms.filter(([, form]) => lower.includes(form)).map(([name]): string => name)
  const spaced = lower.replace(/%20|\+|\\u0020|\\n/g, ' ')
  if (gramsOf(spaced).some((gram) => grams.has(gram))) found.push('8 words in a row')
  const joined = lower.replace(/[^a-z0-9]+/g, '')
  for (const secret of SECRETS) {
    if (joined.includes(secret.replace(/[^a-z0-9]+/g, ''))) found.push(`pieces of ${secret}`)
  }
  return found
}

/** What leaked into these strings and the files below these folders; empty if nothing did. */
export function leaks(outputs: readonly string[], folders: readonly string[]): string[] {
  const private_ = /(clients|malformed)[^/]*\.(jsonl|csv|json|parquet)$/
  const contents = [
    ...outputs.map((text, i): [string, string] => [`output ${i}`, text]),
    ...folders.flatMap((folder) =>
      filesBelow(folder)
        .filter((path) => !private_.test(path))
        // A file's name can leak, too.
        .map((path): [string, string] => [path, `${path}\n${readFileSync(path, 'latin1')}`]),
    ),
  ]
  return contents.flatMap(([where, text]) => leaksIn(text).map((name) => `${name} in ${where}`))
}
