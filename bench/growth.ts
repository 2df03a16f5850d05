// How one histogram grows: processor time and peak memory against the number of private texts (1,024 candidates, 4 texts a
// client), of candidates (10,000 texts), and of clients who share 100,000 texts, with embeddings of 384 dimensions that cost
// nothing to make (as from the cache of private embeddings), one process each:
// npx tsx bench/growth.ts [most texts] [most candidates] [most clients]
// It writes growth.json and growth.svg beside itself.
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Embedder } from '../src/embeddings/embedder.ts'
import { matrix, row } from '../src/embeddings/matrix.ts'
import { ignoreEvents } from '../src/events.ts'
import { voteBound } from '../src/histogram/bound.ts'
import { embedClients } from '../src/histogram/clients.ts'
import { createNeighbours } from '../src/histogram/create-neighbours.ts'
import { seededRandom } from '../src/random.ts'
import { SimulationTexts } from '../src/texts/private-texts.ts'

const DIM = 384
const PER_CLIENT = 4
const SHARED_TEXTS = 100_000

interface Point {
  readonly texts: number
  readonly candidates: number
  readonly clients: number
  readonly embedMs: number
  readonly indexMs: number
  readonly voteMs: number
  readonly peakMb: number
}

function points(rows: number, seed: number) {
  const random = seededRandom(seed)
  return matrix(
    rows,
    DIM,
    Float32Array.from({ length: rows * DIM }, () => 0.09 * (random.next() + random.next() - 1)),
  )
}

/** In a process of its own, so that its memory is its own. */
async function measure(texts: number, candidates: number, clients: number): Promise<Point> {
  const known = points(997, 1)
  let next = 0
  const embedder: Embedder = {
    identity: {
      kind: 'test',
      model: 'none',
      sha256: '',
      dtype: 'fp32',
      pooling: '',
      normalised: true,
      dim: DIM,
    },
    device: { name: 'cpu', why: 'nothing is computed' },
    parallel: 1,
    async embed(own) {
      const out = matrix(own.length, DIM)
      for (let i = 0; i < own.length; i++) row(out, i).set(row(known, next++ % known.rows))
      return out
    },
    async dispose() {},
  }
  const perClient = Math.ceil(texts / clients)
  const own = new SimulationTexts({
    bytes: new Uint8Array(60 * texts).fill(97),
    textOffsets: Float64Array.from({ length: texts + 1 }, (_, i) => 60 * i),
    clientOffsets: Uint32Array.from({ length: clients + 1 }, (_, i) => Math.min(texts, perClient * i)),
    labels: new Uint16Array(texts),
  })
  const options = { mode: 'normalised', maxTextsPerClient: perClient, neighbours: 1 } as const
  const timed = async <T>(work: () => Promise<T>) => {
    const cpu = process.cpuUsage()
    const value = await work()
    const { user, system } = process.cpuUsage(cpu)
    return { value, ms: (user + system) / 1000 }
  }
  const local = await timed(() =>
    embedClients(own, embedder, { maxTextsPerClient: perClient, onEvent: ignoreEvents }),
  )
  const index = await timed(() =>
    createNeighbours(points(candidates, 2), { backend: 'exact', distance: 'l2', seed: 1 }),
  )
  const positions = Array.from({ length: candidates }, (_, i) => i)
  const indexes = new Map([[0, { neighbours: index.value, positions }]])
  const vote = await timed(() => local.value.countVotes(indexes, candidates, options, voteBound(options)))
  return {
    texts,
    candidates,
    clients,
    embedMs: Math.round(local.ms),
    indexMs: Math.round(index.ms),
    voteMs: Math.round(vote.ms),
    peakMb: Math.round(process.resourceUsage().maxRSS / 1024),
  }
}

async function inChild(
  texts: number,
  candidates: number,
  clients = Math.ceil(texts / PER_CLIENT),
): Promise<Point> {
  const args = ['--import', 'tsx', import.meta.filename, 'one', ...[texts, candidates, clients].map(String)]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  console.log(stdout.trim())
  return JSON.parse(stdout) as Point
}

/** One line on logarithmic axes; the dashed line is exactly linear growth from the last point. */
function panel(
  left: number,
  title: string,
  xs: readonly number[],
  ys: readonly number[],
  unit: string,
): string {
  const [lowX, highX] = [Math.log10(xs[0] as number), Math.log10(xs.at(-1) as number)]
  const lowY = Math.floor(Math.log10(Math.min(...ys)))
  const highY = Math.ceil(Math.log10(Math.max(...ys)))
  const x = (value: number) => left + 50 + (220 * (Math.log10(value) - lowX)) / (highX - lowX)
  const y = (value: number) => 200 - (160 * (Math.log10(value) - lowY)) / (highY - lowY)
  const line = xs.map((value, i) => `${x(value).toFixed(1)},${y(ys[i] as number).toFixed(1)}`).join(' ')
  const last = { x: xs.at(-1) as number, y: ys.at(-1) as number }
  const from = Math.max(xs[0] as number, (last.x * 10 ** lowY) / last.y)
  const linear = `${x(from).toFixed(1)},${y((last.y * from) / last.x).toFixed(1)} ${x(last.x).toFixed(1)},${y(last.y).toFixed(1)}`
  const ticks = [
    ...xs.map(
      (value) =>
        `<text x="${x(value).toFixed(1)}" y="216" text-anchor="middle">${value.toLocaleString('en')}</text>`,
    ),
    ...Array.from({ length: highY - lowY + 1 }, (_, i) => 10 ** (lowY + i)).map(
      (value) =>
        `<text x="${left + 44}" y="${y(value).toFixed(1)}" text-anchor="end">${value.toLocaleString('en')}</text>`,
    ),
  ]
  return `<text x="${left + 50}" y="24">${title} (${unit})</text>${ticks.join('')}<polyline points="${linear}" stroke="#999" stroke-dasharray="4 4"/><polyline points="${line}" stroke="#06c" stroke-width="2"/>`
}

if (process.argv[2] === 'one') {
  console.log(
    JSON.stringify(await measure(Number(process.argv[3]), Number(process.argv[4]), Number(process.argv[5]))),
  )
} else {
  const [mostTexts = '1000000', mostCandidates = '65536', mostClients = '100000'] = process.argv.slice(2)
  const byTexts: Point[] = []
  for (let texts = 1_000; texts <= Number(mostTexts); texts *= 10) byTexts.push(await inChild(texts, 1_024))
  const byCandidates: Point[] = []
  for (let n = 256; n <= Number(mostCandidates); n *= 4) byCandidates.push(await inChild(10_000, n))
  const byClients: Point[] = []
  for (let clients = 10; clients <= Number(mostClients); clients *= 10) {
    byClients.push(await inChild(SHARED_TEXTS, 1_024, clients))
  }
  const seconds = ({ embedMs, indexMs, voteMs }: Point) => (embedMs + indexMs + voteMs) / 1000
  const rows = [
    ['texts', byTexts],
    ['candidates', byCandidates],
    ['clients', byClients],
  ] as const
  const panels = rows.flatMap(([by, grown], i) => {
    const xs = grown.map((point) => point[by])
    return [
      panel(600 * i, `time by ${by}`, xs, grown.map(seconds), 'CPU s'),
      panel(
        600 * i + 300,
        `memory by ${by}`,
        xs,
        grown.map((point) => point.peakMb),
        'MB',
      ),
    ]
  })
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1800 230" font-family="sans-serif" font-size="9" fill="#333"><title>Growth</title><rect width="1800" height="230" fill="#fff"/><g fill="none">${panels.join('').replaceAll('<text', '<text fill="#333"')}</g></svg>\n`
  const about = {
    cores: cpus().length,
    node: process.version,
    load: loadavg().map((value) => Number(value.toFixed(1))),
  }
  await writeFile(
    join(import.meta.dirname, 'growth.json'),
    `${JSON.stringify({ about, byTexts, byCandidates, byClients }, null, 2)}\n`,
  )
  await writeFile(join(import.meta.dirname, 'growth.svg'), svg)
}
