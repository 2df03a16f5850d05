// What expand-only and expand-private have in common: the language model of a run expands seeds into a corpus, made once for
// all training seeds that share it, and the model is trained on that. They differ in the seeds alone.
import { join } from 'node:path'
import type { z } from 'zod'
import type { Population } from '../evolution/population.ts'
import type { ArmMeters, ArmResult } from '../finetune/arm-job.ts'
import { readRows } from '../run/read-run.ts'
import type { ArmTask } from './arm.ts'
import { expandPopulation } from './expand.ts'
import { cpuSeconds, llmTokensIn, NO_METERS } from './meters.ts'
import { trainOnCorpus } from './train-corpus.ts'
import type { CORPUS_SETTINGS } from './training.ts'
import { dependsHash } from './unit.ts'

/** `seeds`, with what it cost to have them; without them the corpus grows from the run's own initial population. */
export async function trainOnExpansion(
  task: ArmTask,
  { set, ...training }: z.output<typeof CORPUS_SETTINGS>,
  seeds?: Population,
  had: ArmMeters = NO_METERS,
): Promise<ArmResult> {
  const made = await task.shared(`corpus-${task.corpus}-${dependsHash(set).slice(0, 8)}`, async (folder) => {
    const file = join(folder, 'corpus.jsonl')
    const cpu = cpuSeconds()
    await expandPopulation(task, await task.configured(set), folder, file, seeds)
    // Of the process that finished the corpus; what an earlier, stopped one used is not in it.
    return { file, serverCpuSeconds: cpu(), llmTokens: await llmTokensIn(join(folder, 'llm-cache.jsonl')) }
  })
  const { file, ...cost } = made
  const texts = (await readRows(file)).map((row) => row.text)
  return { ...(await trainOnCorpus(task, texts, training, { ...had, ...cost })), mechanisms: [] }
}
