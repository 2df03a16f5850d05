// The sha256 of the files that a run writes its corpus into. Its report keeps them, so that whoever reads one of the files
// later knows that it is still the corpus whose epsilon the report states.
import { basename, join } from 'node:path'
import { hashFile } from '../models/checksums.ts'
import type { RunReport } from './data.ts'
import { epsilonText } from './figures.ts'

const CORPUS_FILES = ['synthetic.jsonl', 'synthetic.parquet']
const SHOWN = 12

/** By name, as the report keeps them. */
export async function corpusHashes(folder: string): Promise<Record<string, string>> {
  const hashes = CORPUS_FILES.map(async (name) => [name, await hashFile(join(folder, name))] as const)
  return Object.fromEntries(await Promise.all(hashes))
}

/** How the file is not the one that the run of the report wrote, in words; undefined where it is, or the report cannot tell. */
export async function changedCorpus(report: RunReport, path: string): Promise<string | undefined> {
  const expected = report.corpus.sha256?.[basename(path)]
  if (expected === undefined) return undefined
  const got = await hashFile(path)
  if (got === expected) return undefined
  const { run, privacy } = report
  return `${path}: expected the corpus that run ${run.id} (epsilon ${epsilonText(privacy.epsilon)}) wrote, sha256 ${expected.slice(0, SHOWN)}..., got sha256 ${got.slice(0, SHOWN)}...: rows were changed, or another corpus is mixed in`
}
