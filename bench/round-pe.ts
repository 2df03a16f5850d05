// One whole round of private evolution, from a file of private texts to the next population, as a process of its own: `pretext
// generate` against DPSDA's library. Same texts, same number of candidates, same endpoint (word-server.ts, which answers at
// once), all-MiniLM-L6-v2 in both. It ends after one round; ours also writes its ledger, corpus (one text), card and report.
// npm run build && PYTHON=... DPSDA=<checkout> MINILM=<folder> npx tsx bench/round-pe.ts [turns] [texts] [candidates] [threads of DPSDA]
import { execFile, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { stringify } from 'yaml'
import { interleave, type Measured, median, report } from './interleave.ts'

const [turns = '3', texts = '1000', candidates = '256', threads = '16'] = process.argv.slice(2)
const { PYTHON = 'python3', DPSDA = '', MINILM = '' } = process.env
const root = join(import.meta.dirname, '..')
const folder = await mkdtemp(join(tmpdir(), 'round-pe-'))
const file = join(folder, 'private.jsonl')
const lines = (await readFile(join(root, 'data/debian/clients.jsonl'), 'utf8')).split('\n')
await writeFile(file, `${lines.slice(0, Number(texts)).join('\n')}\n`)

/** Runs a command to its end; time and memory are what the system says of it and its children. */
const MEASURE = `import json, os, resource, subprocess, sys, time
start = time.perf_counter()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"wallMs": 1000 * (time.perf_counter() - start), "cpuMs": 1000 * (used.ru_utime + used.ru_stime), "peakMb": used.ru_maxrss / 1024, "code": code}))`

const peaks = new Map<string, number[]>()
const asked = new Map<string, number[]>()

async function arm(name: string, command: (url: string) => readonly string[]): Promise<Measured> {
  const server = spawn(process.execPath, ['--import', 'tsx', join(import.meta.dirname, 'word-server.ts')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const said = createInterface({ input: server.stdout })[Symbol.asyncIterator]()
  const url = (await said.next()).value as string
  const env = { ...process.env, OPENAI_API_KEY: 'none', OPENAI_BASE_URL: url }
  const { stdout } = await promisify(execFile)(PYTHON, ['-c', MEASURE, ...command(url)], { env, cwd: folder })
  server.stdin.end()
  const measured = JSON.parse(stdout) as Measured & { peakMb: number; code: number }
  if (measured.code !== 0) throw new Error(`${name} ended with ${measured.code}`)
  peaks.set(name, [...(peaks.get(name) ?? []), measured.peakMb])
  asked.set(name, [...(asked.get(name) ?? []), Number((await said.next()).value)])
  return measured
}

const config = join(folder, 'round.yaml')
let runs = 0

const summary = await interleave(
  {
    pretext: async () => {
      const settings = {
        name: `round-${runs++}`,
        data: { dataset: `round-${runs}`, private: { path: file, client: 'client' } },
        privacy: { unit: 'client', epsilon: 4, delta: 1e-5 },
        embeddings: { device: 'cpu' },
        // Nobody's texts are left out: DPSDA takes them all.
        histogram: { maxTextsPerClient: 1000 },
        evolution: {
          rounds: 1,
          population: Number(candidates),
          initial: { from: 'zero-shot' },
          survivors: { by: 'rank', threshold: { topShare: 0.5 } },
        },
        generate: { texts: 1 },
        output: { folder: 'runs' },
      }
      await writeFile(config, stringify(settings))
      return arm('pretext', (url) => {
        const llm = [
          '--set',
          'llm.provider=openai',
          '--set',
          'llm.model=model',
          '--set',
          `llm.baseUrl=${url}`,
        ]
        return [process.execPath, join(root, 'bin/pretext.js'), 'generate', config, '--quiet', ...llm]
      })
    },
    DPSDA: () =>
      arm('DPSDA', () => [
        PYTHON,
        join(import.meta.dirname, 'round-pe.py'),
        ...[DPSDA, file, MINILM, candidates, threads],
      ]),
  },
  Number(turns),
)
report(`One round, ${texts} private texts, ${candidates} candidates`, summary, 1, 'rounds')
console.log()
for (const [name, all] of peaks) {
  const requests = median(asked.get(name) as number[])
  console.log(`${name}: peak ${median(all).toFixed(0)} MB, ${requests} requests`)
}
await rm(folder, { recursive: true })
