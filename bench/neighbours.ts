// Exact search against faiss's IndexFlatL2 with the same two threads, 384 dimensions, k = 1 and 8:
// PYTHON=<one with faiss-cpu> npx tsx bench/neighbours.ts [turns] [stream]
// `stream` sends a million queries in blocks through 10,000 candidates and prints the memory after each tenth.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Matrix } from '../src/embeddings/matrix.ts'
import { createExactNeighbours } from '../src/histogram/exact.ts'
import { DIM, here, interleave, type Measured, median, points, python, report } from './interleave.ts'

const turns = Number(process.argv[2] ?? 5)
const folder = await mkdtemp(join(tmpdir(), 'neighbours-'))
const faiss = python(join(import.meta.dirname, 'neighbours.py'))

async function place(name: string, { values }: Matrix): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
  return path
}

async function sameAs(path: string, indices: Int32Array): Promise<number> {
  const bytes = await readFile(`${path}.found`)
  const theirs = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
  return indices.reduce((sum, index, i) => sum + (index === theirs[i] ? 1 : 0), 0) / indices.length
}

async function compare(rows: number, asked: number, kind: 'random' | 'clustered', k: number): Promise<void> {
  const candidates = points(rows, kind, 2)
  const queries = points(asked, kind, 3)
  await faiss.ask({ candidates: await place('candidates', candidates), dim: DIM })
  const path = await place('queries', queries)
  const neighbours = await createExactNeighbours(candidates, { distance: 'l2' })
  const summary = await interleave(
    {
      pretext: () => here(() => neighbours.nearest(queries, k)),
      'faiss IndexFlatL2': () => faiss.ask({ queries: path, dim: DIM, k }),
    },
    turns,
  )
  report(`${asked} queries among ${rows} candidates, ${kind}, k = ${k}`, summary, asked, 'queries')
  const { indices } = await neighbours.nearest(queries, k)
  console.log(
    `\nThe same neighbours in the same order: ${(100 * (await sameAs(path, indices))).toFixed(3)} %`,
  )
  await neighbours.dispose()
}

async function stream(k: number): Promise<void> {
  const candidates = points(10_000, 'clustered', 2)
  await faiss.ask({ candidates: await place('candidates', candidates), dim: DIM })
  const neighbours = await createExactNeighbours(candidates, { distance: 'l2' })
  const ratios: { wall: number; cpu: number }[] = []
  for (let block = 1; block <= 100; block++) {
    const queries = points(10_000, 'clustered', 3 + block)
    const ours = await here(() => neighbours.nearest(queries, k))
    const theirs = await faiss.ask<Measured>({ queries: await place('queries', queries), dim: DIM, k })
    ratios.push({ wall: theirs.wallMs / ours.wallMs, cpu: theirs.cpuMs / ours.cpuMs })
    if (block % 10 !== 0) continue
    const wall = median(ratios.map((ratio) => ratio.wall)).toFixed(2)
    const cpu = median(ratios.map((ratio) => ratio.cpu)).toFixed(2)
    const mb = (process.memoryUsage.rss() / 2 ** 20).toFixed(0)
    console.log(`${block * 10_000} queries: faiss / pretext wall ${wall}, CPU ${cpu}; resident ${mb} MB`)
  }
  await neighbours.dispose()
}

if (process.argv[3] === 'stream') await stream(1)
else {
  for (const kind of ['random', 'clustered'] as const) {
    for (const k of [1, 8]) {
      await compare(2_000, 10_000, kind, k)
      await compare(10_000, 10_000, kind, k)
    }
  }
}
faiss.close()
await rm(folder, { recursive: true })
