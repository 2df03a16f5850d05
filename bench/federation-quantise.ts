// How many votes change because candidates travel as int8 or float16: npx tsx bench/federation-quantise.ts [MODEL] [CLIENTS]. Real
// texts (data/debian) vote among real texts of other clients, as simulated clients do, with and without quantising.
import { createEmbedder } from '../src/embeddings/create.ts'
import { plainNeighbours } from '../src/federation/client/nearest.ts'
import {
  type CandidateEncoding,
  decodeCandidates,
  encodeCandidates,
} from '../src/federation/protocol/candidate-bytes.ts'
import { readTexts } from '../src/texts/read.ts'

const MODEL = process.argv[2] ?? 'all-MiniLM-L6-v2'
const CANDIDATES = 512

const read = (path: string) =>
  readTexts({
    path,
    columns: { text: 'text', client: 'client' },
    unit: 'client',
    kind: 'simulation',
    maxWords: 60,
  })
const all = (texts: Awaited<ReturnType<typeof read>>['texts'], clients: number) =>
  Array.from({ length: Math.min(clients, texts.clients) }, (_, i) => texts.read(i).texts).flat()

const queries = all((await read('data/debian/clients.jsonl')).texts, Number(process.argv[3] ?? 300))
const pool = all((await read('data/debian/heldout.jsonl')).texts, Number.POSITIVE_INFINITY).slice(
  0,
  CANDIDATES,
)
const embedder = await createEmbedder({ model: MODEL, device: 'cpu' })
const embed = async (texts: readonly string[]) => {
  const rows = []
  for (let i = 0; i < texts.length; i += 32) rows.push(await embedder.embed(texts.slice(i, i + 32)))
  const dim = rows[0]?.dim ?? 0
  const values = new Float32Array(texts.length * dim)
  let at = 0
  for (const part of rows) {
    values.set(part.values, at)
    at += part.values.length
  }
  return { values, rows: texts.length, dim }
}
const own = await embed(queries)
const candidates = await embed(pool)
const exact = await plainNeighbours(candidates, 'l2').nearest(own, 1)
for (const encoding of ['int8', 'float16'] as const satisfies readonly CandidateEncoding[]) {
  const bytes = encodeCandidates(candidates, encoding)
  const shape = { count: candidates.rows, dim: candidates.dim, encoding }
  const quantised = await plainNeighbours(decodeCandidates(bytes, shape), 'l2').nearest(own, 1)
  const changed = exact.indices.filter((index, i) => index !== quantised.indices[i]).length
  console.log(
    JSON.stringify({
      model: MODEL,
      encoding,
      candidates: candidates.rows,
      bytes: bytes.length,
      float32Bytes: candidates.values.length * 4,
      votes: queries.length,
      changed,
      changedShare: Number((changed / queries.length).toFixed(4)),
    }),
  )
}
await embedder.dispose()
