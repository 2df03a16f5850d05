// Where an embedding's time goes on one core: npx tsx bench/embedding-profile.ts [texts]. all-MiniLM-L6-v2 as the embedder holds it,
// by ONNX Runtime's own profiler, and the speed of its matrix products (compare: torch.mm of 2,048 x 384 by 384 x 1,536).
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { weightsFile } from '../src/embeddings/model-folder.ts'
import { loadOnnxRuntime } from '../src/embeddings/onnx-runtime.ts'
import { runSession, type Session } from '../src/embeddings/run-session.ts'
import { packBatches, tokenEncoder } from '../src/embeddings/tokens.ts'
import { loadTransformers } from '../src/embeddings/transformers.ts'
import { resolveModel } from '../src/models/store.ts'
import { mixedTexts } from './mixed-texts.ts'

const texts = await mixedTexts(join(import.meta.dirname, '..'), Number(process.argv[2] ?? '192'))
const { folder } = await resolveModel('all-MiniLM-L6-v2')
const { InferenceSession, Tensor } = await loadOnnxRuntime()
const tokenizer = await (await loadTransformers()).AutoTokenizer.from_pretrained(folder, {
  local_files_only: true,
})
const encode = tokenEncoder(tokenizer, 0)
const began = performance.now()
const ids = texts.map((text) => encode(text, 128))
const tokenised = performance.now() - began
const out = await mkdtemp(join(tmpdir(), 'embedding-profile-'))
const profiled = await InferenceSession.create(join(folder, weightsFile('int8')), {
  executionProviders: ['cpu'],
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  enableProfiling: true,
  profileFilePrefix: join(out, 'passes'),
})
const session: Session = {
  inputNames: profiled.inputNames,
  outputNames: profiled.outputNames,
  run: (feeds, fetches) => profiled.run(feeds as Parameters<typeof profiled.run>[0], [...fetches]),
  tensor: (values, shape) => new Tensor('int64', values, shape),
}
const batches = packBatches(
  ids.map((row) => row.length),
  2_048,
)
const pass = async () => {
  const start = performance.now()
  for (const { rows } of batches) {
    const sequences = rows.map((index) => ids[index] as number[])
    await runSession(session, sequences, 'last_hidden_state')
  }
  return performance.now() - start
}
const times = [await pass(), await pass(), await pass()]
const ms = times.sort((a, b) => a - b)[1] as number
profiled.endProfiling()

const byOperator = new Map<string, number>()
let all = 0
for (const file of await readdir(out)) {
  const events = JSON.parse(await readFile(join(out, file), 'utf8')) as {
    cat: string
    name: string
    dur: number
    args?: { op_name?: string }
  }[]
  for (const { cat, name, dur, args } of events) {
    if (cat !== 'Node' || !name.endsWith('kernel_time')) continue
    byOperator.set(args?.op_name ?? '', (byOperator.get(args?.op_name ?? '') ?? 0) + dur)
    all += dur
  }
}
await rm(out, { recursive: true })
const tokens = ids.reduce((sum, row) => sum + row.length, 0)
const padded = batches.reduce((sum, { rows, length }) => sum + rows.length * length, 0)
// 6 layers, each with four products by 384 x 384 and two by 384 x 1,536.
const operations = padded * 6 * 2 * (4 * 384 * 384 + 2 * 384 * 1536)
const share = (byOperator.get('MatMul') ?? 0) / all
console.log(
  `${texts.length} texts, ${tokens} tokens, ${padded} with padding: ${ms.toFixed(0)} ms on one thread`,
)
console.log(`tokens: ${tokenised.toFixed(0)} ms`)
console.log(`products: ${(operations / (ms * share) / 1e6).toFixed(0)} GFLOP/s`)
for (const [operator, us] of [...byOperator].sort((a, b) => b[1] - a[1]).slice(0, 10)) {
  console.log(`${((100 * us) / all).toFixed(1).padStart(5)} % ${operator}`)
}
