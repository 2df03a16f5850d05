// Differences between rows of finished comparisons, of one or of several, over the same evaluation clients: what
// docs/results.md has beside the differences of a report, which are to PrE-Text at the same epsilon.
//   npx tsx bench/gpu/differences.ts ROW ROW...
// A row is FOLDER:ARM:EPSILON (a number, "inf", or "any" where epsilon changes nothing); each is set beside the first.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ArmRun, corpusOf } from '../../src/compare/arm-runs.ts'
import { differences } from '../../src/compare/difference.ts'
import { armOf } from '../../src/compare/registry.ts'
import { readDone } from '../../src/compare/unit.ts'
import type { EvaluatedModel } from '../../src/evaluate/next-token.ts'
import { seededRandom } from '../../src/random.ts'
import type { ComparisonReport } from '../../src/report/comparison-data.ts'

async function models(row: string): Promise<EvaluatedModel[]> {
  const [folder, arm, epsilon] = row.split(':')
  if (folder === undefined || arm === undefined || epsilon === undefined) {
    throw new Error(`expected FOLDER:ARM:EPSILON, got ${row}`)
  }
  const { seeds, corpora } = JSON.parse(
    await readFile(join(folder, 'comparison.json'), 'utf8'),
  ) as ComparisonReport
  const at = join(folder, 'arms', arm, epsilon === 'any' ? 'any-epsilon' : `epsilon-${epsilon}`)
  const names = (await readdir(at)).filter((name) => name.startsWith('seed-'))
  const runs = await Promise.all(names.map((name) => readDone<ArmRun>(join(at, name))))
  const onCorpora = armOf(arm).onCorpora === true
  const found = runs.flatMap((done, i) => {
    const sums = done?.result.sums ?? null
    if (sums === null) return []
    const seed = Number((names[i] as string).slice('seed-'.length))
    return [onCorpora ? { sums, corpus: corpusOf({ seeds: [...seeds], corpora }, seed) } : { sums }]
  })
  if (found.length === 0) throw new Error(`${at}: expected a training that was evaluated, got none`)
  return found
}

const [first, ...others] = process.argv.slice(2)
if (first === undefined || others.length === 0) throw new Error('expected two rows or more')
const base = await models(first)
for (const row of others) {
  const random = seededRandom(0, 'differences', first, row)
  const found = differences(await models(row), base, { resamples: 1000, random })
  for (const [metric, { value, low, high }] of Object.entries(found)) {
    const scale = metric === 'top-1' ? 100 : 1
    const [v, l, h] = [value, low, high].map((x) => (x * scale).toFixed(scale === 100 ? 1 : 3))
    console.log(`${row} less ${first}: ${metric} ${v} [${l}, ${h}]`)
  }
}
