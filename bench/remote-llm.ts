// How full a remote server is kept: tokens per second through the language model with nothing configured, against a plain
// load generator at the best of several fixed concurrencies; and what an answer from the cache takes.
// npx tsx bench/remote-llm.ts [requests] [base URL of an OpenAI-compatible server] [model] [tokens of each] [most at once]
// Without a URL it starts bench/capacity-server.ts (64 requests at once) in a process of its own.
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { completeAll } from '../src/llm/complete-all.ts'
import { createLanguageModel } from '../src/llm/create.ts'
import { median } from './interleave.ts'

const [count = '1500', url, name = 'model', tokensOfEach = '200', mostAtOnce = '256'] = process.argv.slice(2)
const TOKENS = Number(tokensOfEach)
const PROMPT = 'Below are short notes of people about their day.\n1. The train was late again.\n2.'
const folder = await mkdtemp(join(tmpdir(), 'remote-'))
const child =
  url === undefined
    ? spawn(
        process.execPath,
        ['--import', 'tsx', join(import.meta.dirname, 'capacity-server.ts'), '64', '200'],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      )
    : undefined
const baseUrl =
  url ??
  (await new Promise<string>((found) => child?.stdout?.once('data', (line) => found(String(line).trim()))))

/** Requests of plain fetch, so many at once. */
async function generator(concurrency: number, requests: number): Promise<number> {
  let left = requests
  let tokens = 0
  const start = performance.now()
  const worker = async () => {
    while (left-- > 0) {
      const body = { model: name, prompt: PROMPT, max_tokens: TOKENS, temperature: 1, seed: left }
      const answer = await fetch(`${baseUrl}/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
      tokens += ((await answer.json()) as { usage: { completion_tokens: number } }).usage.completion_tokens
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  return (1000 * tokens) / (performance.now() - start)
}

const cacheFile = join(folder, 'cache.jsonl')
const { model } = await createLanguageModel(
  { provider: 'openai', model: name, baseUrl, api: 'completions' },
  { cacheFile, env: { OPENAI_API_KEY: 'none' } },
)
const requests = Array.from({ length: Number(count) }, (_, seed) => ({
  input: { prompt: PROMPT },
  sampling: { temperature: 1, topP: 1 },
  maxTokens: TOKENS,
  stop: [],
  seed,
}))

const best = { concurrency: 0, rate: 0 }
for (const concurrency of [4, 8, 16, 32, 64, 128, 256, 512, 1024].filter(
  (each) => each <= Number(mostAtOnce),
)) {
  const rate = await generator(concurrency, Math.max(4 * concurrency, 128))
  console.log(`load generator, ${concurrency} at once: ${rate.toFixed(0)} tokens/s`)
  if (rate > best.rate) Object.assign(best, { concurrency, rate })
}
// In turn, so that a busy machine burdens both alike; the first fifth is where the number is looked for.
const own: number[] = []
const theirs: number[] = []
const share = Math.ceil(requests.length / 5)
for (let part = 0; part < 5; part++) {
  theirs.push(await generator(best.concurrency, share))
  let tokens = 0
  const start = performance.now()
  for await (const { completionTokens } of completeAll(
    model,
    requests.slice(part * share, (part + 1) * share),
  )) {
    tokens += completionTokens
  }
  own.push((1000 * tokens) / (performance.now() - start))
}
const ratios = own.map((rate, i) => rate / (theirs[i] as number))
console.log(
  `load generator, ${best.concurrency} at once: ${theirs.map((rate) => rate.toFixed(0)).join(', ')} tokens/s`,
)
console.log(`pretext: ${own.map((rate) => rate.toFixed(0)).join(', ')} tokens/s`)
console.log(
  `ratio: ${ratios.map((ratio) => ratio.toFixed(2)).join(', ')}; median ${median(ratios).toFixed(2)}`,
)

const hits: number[] = []
for (const request of requests.slice(0, 1000)) {
  const start = performance.now()
  await model.complete(request)
  hits.push(performance.now() - start)
}
console.log(`an answer from the cache: median ${median(hits).toFixed(3)} ms of ${hits.length}`)
console.log(`load ${loadavg()[0]?.toFixed(1)}`)
await model.dispose()
child?.kill()
await rm(folder, { recursive: true })
