// Texts to a matrix with all-MiniLM-L6-v2 on two threads, against sentence-transformers on the same texts of mixed length:
// PYTHON=<one with sentence-transformers> npx tsx bench/embedding.ts <folder with the fp32 safetensors> [texts] [turns] [device]
// The texts are halves, wholes and pairs of the public ones in data/public. `device` is cpu (default), webgpu or cuda; theirs
// is then on CUDA too, with all threads. On a machine without the sources: bench/gpu/whole.sh.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import pLimit from 'p-limit'
import { createEmbedder } from '../src/embeddings/create.ts'
import { dot, matrix, row } from '../src/embeddings/matrix.ts'
import { here, interleave, python, report } from './interleave.ts'
import { mixedTexts } from './mixed-texts.ts'

const [model, count = '256', turns = '5', device = 'cpu'] = process.argv.slice(2)
if (model === undefined) throw new Error('expected the folder of the fp32 model')
const ROOT = process.env.PRETEXT_ROOT ?? join(import.meta.dirname, '..')
const folder = await mkdtemp(join(tmpdir(), 'embedding-'))
const out = join(folder, 'rows')

const texts = await mixedTexts(ROOT, Number(count))

const theirs = python(join(ROOT, 'bench/embedding.py'), [resolve(model), device === 'cpu' ? 'cpu' : 'cuda'])
const { version } = await theirs.ask<{ version: string }>({ texts })
const embedder = await createEmbedder({
  model: 'all-MiniLM-L6-v2',
  device: device as 'cpu' | 'webgpu' | 'cuda',
})
const lengths = texts.map((text) => text.split(/\s+/).length).sort((a, b) => a - b)
console.log(
  `${texts.length} texts of ${lengths[0]} to ${lengths.at(-1)} words, median ${lengths[lengths.length >> 1]}`,
)
console.log(
  `pretext: ${embedder.identity.dtype} on ${embedder.device.name}; ${version}, fp32 on ${device === 'cpu' ? 'cpu' : 'cuda'}`,
)
const encode = (batch: number) => () => theirs.ask({ batch, out })
const summary = await interleave(
  {
    'pretext, all in one call': () => here(() => embedder.embed(texts)),
    'pretext, 4 texts a call, as one client has': () =>
      here(async () => {
        const limit = pLimit(embedder.parallel)
        const calls = Array.from({ length: Math.ceil(texts.length / 4) }, (_, i) =>
          limit(() => embedder.embed(texts.slice(4 * i, 4 * i + 4))),
        )
        await Promise.all(calls)
      }),
    ...Object.fromEntries(
      (device === 'cpu' ? [32, 128] : [32, 256, 1024]).map((batch) => [
        `sentence-transformers, batches of ${batch}`,
        encode(batch),
      ]),
    ),
  },
  Number(turns),
)
report('Embedding', summary, texts.length, 'texts')

const ours = await embedder.embed(texts)
const bytes = await readFile(out)
const their = matrix(ours.rows, ours.dim, new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4))
const cosines = texts.map((_, i) => dot(row(ours, i), row(their, i))).sort((a, b) => a - b)
console.log(
  `\nCosine to theirs: lowest ${cosines[0]?.toFixed(4)}, median ${cosines[cosines.length >> 1]?.toFixed(4)}`,
)
theirs.close()
await embedder.dispose()
await rm(folder, { recursive: true })
