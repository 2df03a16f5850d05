// From where on hnsw pays: building and asking, by processor time, against exact search, k = 1, 384 dimensions, for searches
// of growing width until 99 in 100 queries find their nearest: npx tsx bench/hnsw.ts [most candidates]
import { loadavg } from 'node:os'
import { createExactNeighbours } from '../src/histogram/exact.ts'
import { createHnswNeighbours } from '../src/histogram/hnsw.ts'
import type { Neighbours } from '../src/histogram/neighbours.ts'
import { here, points } from './interleave.ts'

const most = Number(process.argv[2] ?? 20_000)
const ASKED = 1_000

async function timed<T>(work: () => Promise<T>): Promise<{ value: T; seconds: number }> {
  let value: T | undefined
  const { cpuMs } = await here(async () => {
    value = await work()
  })
  return { value: value as T, seconds: cpuMs / 1000 }
}

console.log(
  '| candidates | points | search | build s | ask s | recall@1 | queries from which hnsw is faster |',
)
console.log('| ---: | --- | --- | ---: | ---: | ---: | ---: |')
for (let rows = 10_000; rows <= most; rows *= 2) {
  for (const kind of ['clustered', 'random'] as const) {
    const candidates = points(rows, kind, 2)
    const queries = points(ASKED, kind, 3)
    const ask = (neighbours: Neighbours) => timed(async () => (await neighbours.nearest(queries, 1)).indices)
    const built = await timed(() => createExactNeighbours(candidates, { distance: 'l2', threads: 1 }))
    await built.value.nearest(queries, 1)
    const exact = await ask(built.value)
    console.log(
      `| ${rows} | ${kind} | exact | ${built.seconds.toFixed(2)} | ${exact.seconds.toFixed(3)} | 1 | |`,
    )
    for (const searchWidth of [64, 256, 1024]) {
      const other = await timed(() =>
        createHnswNeighbours(candidates, {
          distance: 'l2',
          seed: 1,
          searchWidth,
          // The recall is measured below, with the same queries for all.
          recallQueries: { ...queries, rows: 1, values: queries.values.subarray(0, queries.dim) },
          recallK: 1,
        }),
      )
      const found = await ask(other.value)
      const hits = found.value.reduce((sum, index, i) => sum + (index === exact.value[i] ? 1 : 0), 0) / ASKED
      const saved = (exact.seconds - found.seconds) / ASKED
      const from = saved > 0 ? Math.ceil((other.seconds - built.seconds) / saved) : 'none'
      console.log(
        `| ${rows} | ${kind} | hnsw, width ${searchWidth} | ${other.seconds.toFixed(2)} | ${found.seconds.toFixed(3)} | ${hits.toFixed(3)} | ${from} |`,
      )
      if (hits >= 0.99) break
    }
    await built.value.dispose()
  }
}
console.log(`\nload ${loadavg()[0]?.toFixed(1)}`)
