// PrE-Text itself: private evolution of a population by noisy votes, expansion of the survivors, training on the corpus. The
// run is the one of `pretext generate`, over the same clients as every other arm.
import { join } from 'node:path'
import type { OnEvent } from '../../events.ts'
import { readManifest } from '../../run/folder.ts'
import { generate } from '../../run/generate.ts'
import { readCorpus } from '../../run/read-run.ts'
import { type ArmTask, defineArm } from '../arm.ts'
import { clientMeters } from '../client-meters.ts'
import { cpuSeconds, llmTokensIn } from '../meters.ts'
import { releasedBy } from '../released.ts'
import { trainOnCorpus } from '../train-corpus.ts'
import { CORPUS_SETTINGS, TRAINING_GRID } from '../training.ts'
import { dependsHash } from '../unit.ts'

export const pretext = defineArm({
  name: 'pretext',
  about: 'PrE-Text: clients vote on synthetic texts, the sum is noised, a model is trained on what survives',
  guarantee: 'client',
  epsilons: 'each',
  onCorpora: true,
  settings: CORPUS_SETTINGS,
  grid: TRAINING_GRID,
  async run(task, { set, ...training }) {
    const name = `epsilon-${task.epsilon}-corpus-${task.corpus}-${dependsHash(set).slice(0, 8)}`
    const made = await task.shared(name, (folder) => evolve(task, folder, set))
    const texts = (await readCorpus(made.run)).map((row) => row.text)
    const { meters, llmTokens, serverCpuSeconds, measures, mechanisms } = made
    const trained = await trainOnCorpus(task, texts, training, { ...meters, llmTokens, serverCpuSeconds })
    return { ...trained, mechanisms, measures: { ...measures, ...trained.measures } }
  },
})

async function evolve(task: ArmTask, folder: string, set: Readonly<Record<string, unknown>>) {
  const loaded = await task.configured(set)
  const run = join(folder, 'run')
  const manifest = await readManifest(run)
  const cpu = cpuSeconds()
  const clients = clientStages(cpu)
  if (manifest?.status !== 'finished') {
    await generate(loaded, {
      out: run,
      resume: manifest !== undefined,
      command: 'pretext compare',
      onEvent(event) {
        clients.onEvent(event)
        task.onEvent(event)
      },
      ...(task.signal === undefined ? {} : { signal: task.signal }),
    })
  }
  const serverCpuSeconds = cpu() - clients.seconds()
  const { meters, measures } = await clientMeters(task, loaded, run)
  return {
    run,
    mechanisms: await releasedBy(run, task.clients),
    meters,
    measures,
    // Of the process that finished the corpus; what an earlier, stopped one used is not in it.
    serverCpuSeconds,
    llmTokens: await llmTokensIn(join(run, 'llm-cache.jsonl')),
  }
}

/** CPU time of the stages in which a run plays its clients: they embed their texts, and they vote. */
function clientStages(cpu: () => number): { onEvent: OnEvent; seconds: () => number } {
  let total = 0
  let began: number | undefined
  return {
    onEvent(event) {
      if (!('stage' in event) || (event.stage !== 'embed' && event.stage !== 'vote')) return
      if (event.type === 'stage') began = cpu()
      if (event.type !== 'stage-end' || began === undefined) return
      total += cpu() - began
      began = undefined
    },
    seconds: () => total,
  }
}
