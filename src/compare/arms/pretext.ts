// PrE-Text itself: private evolution of a population by noisy votes, expansion of the survivors, training on the corpus. The
// run is the one of `pretext generate`, over the same clients as every other arm.
import { join } from 'node:path'
import type { Config } from '../../config/schema.ts'
import type { OnEvent } from '../../events.ts'
import type { ArmMechanism } from '../../finetune/arm-job.ts'
import { boundInVotes, voteBound } from '../../histogram/bound.ts'
import { readRelease } from '../../histogram/release.ts'
import { readManifest } from '../../run/folder.ts'
import { generate } from '../../run/generate.ts'
import { voteOptions } from '../../run/local-steps.ts'
import { readCorpus } from '../../run/read-run.ts'
import { type ArmTask, defineArm } from '../arm.ts'
import { clientMeters } from '../client-meters.ts'
import { cpuSeconds, llmTokensIn } from '../meters.ts'
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
    const { model, validation, measures } = await trainOnCorpus(task, texts, training)
    return {
      model,
      mechanisms: made.mechanisms,
      meters: { ...made.meters, llmTokens: made.llmTokens, serverCpuSeconds: made.serverCpuSeconds },
      validation,
      measures: { ...made.measures, ...measures },
    }
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
    mechanisms: await mechanismsOf(task, loaded.config, run),
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

/** From the files of the releases: the noise that each says it holds, on the bound that its votes were held to. */
async function mechanismsOf({ clients }: ArmTask, config: Config, run: string): Promise<ArmMechanism[]> {
  const bound = boundInVotes(voteBound(voteOptions(config)))
  const rounds = config.evolution.rounds
  const of = async (file: string, clip: number, releases: number): Promise<ArmMechanism[]> => {
    const release = await readRelease(join(run, file))
    if (release === undefined) return []
    return [
      {
        sigma: release.sigma / release.gridSteps,
        clip,
        releases,
        cohort: clients,
        clients,
        sampling: 'all',
        contributions: 'non-negative',
        maxParticipations: releases,
      },
    ]
  }
  const all: ArmMechanism[] = []
  // Label shares are one more release, of votes of L2 norm 1.
  all.push(...(await of('label-shares.json', 1, 1)))
  for (let t = 1; t <= rounds; t++) {
    all.push(...(await of(join('rounds', String(t).padStart(4, '0'), 'release.json'), bound, 1)))
  }
  return all
}
