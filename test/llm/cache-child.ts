// A process of its own for cache.test.ts: 60 requests through the cache to the server, each reported when it is returned.
// With a third argument, its files may not grow beyond so many bytes.
import { execSync } from 'node:child_process'
import { completeAll } from '../../src/llm/complete-all.ts'
import { createLanguageModel } from '../../src/llm/create.ts'
import { request } from './requests.ts'

const [baseUrl = '', cacheFile = '', largestFile] = process.argv.slice(2)
const { model } = await createLanguageModel(
  { provider: 'openai', model: 'small', baseUrl, concurrency: 4 },
  { cacheFile, env: {} },
)
if (largestFile !== undefined) execSync(`/usr/bin/prlimit --pid ${process.pid} --fsize=${largestFile}`)
const requests = Array.from({ length: 60 }, (_, seed) => request({ seed, maxTokens: 16 }))
let done = 0
try {
  for await (const _ of completeAll(model, requests)) process.stdout.write(`done ${++done}\n`)
  process.stdout.write(`all ${done}\n`)
} catch (error) {
  const { code, message } = error as { code?: string; message: string }
  process.stdout.write(`failed ${code} ${message}\n`)
}
await model.dispose()
