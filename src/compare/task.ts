// One run of an arm: its inputs, and the few things that it may ask of the comparison.
import { basename, join, resolve } from 'node:path'
import type { LoadedConfig } from '../config/load.ts'
import type { ArmResult } from '../finetune/arm-job.ts'
import type { Arm, ArmTask } from './arm.ts'
import { baseConfig, type Ground, groundHash } from './ground.ts'
import { inTurn } from './in-turn.ts'
import { once } from './unit.ts'

export interface TaskOf {
  readonly epsilon: number | null
  readonly seed: number
  readonly corpus: number
  readonly out: string
  readonly resume: boolean
  /** A model on the clients that this run may see figures of; each model is asked once. */
  readonly evaluated: (model: string) => ReturnType<Ground['evaluate']>
  /** Folder of what runs of the arm share. */
  readonly shared: string
}

export function armTask(ground: Ground, arm: Arm, of: TaskOf): ArmTask {
  const { config, split, loaded, onEvent, signal } = ground
  const { delta, adjacency } = loaded.config.privacy
  return {
    inputs: {
      out: of.out,
      resume: of.resume,
      clients: split.clients,
      validation: split.validation,
      start: ground.start.folder,
      sequenceTokens: config.sequenceTokens,
      seed: of.seed,
      delta,
      adjacency,
      device: config.device,
      threads: config.threads,
    },
    // Where epsilon changes nothing, no noise is asked for.
    epsilon: of.epsilon ?? Number.POSITIVE_INFINITY,
    clients: split.counts.clients,
    corpus: of.corpus,
    training: config.training,
    python: ground.python,
    configured: (set = {}) => configured(ground, of, set),
    runJob: (job) => ground.runJob(job, arm.name),
    async validate(model) {
      const { clients } = (await of.evaluated(model)).validation
      const sum = (value: (client: (typeof clients)[number]) => number) =>
        clients.reduce((total, client) => total + value(client), 0)
      const tokens = sum((client) => client.tokens)
      const validation: ArmResult['validation'] = {
        loss: sum((client) => client.crossEntropy) / tokens,
        accuracy: sum((client) => client.correct[0] as number) / tokens,
        tokens,
      }
      return validation
    },
    async shared(name, make) {
      const folder = join(of.shared, name.replace(/[^\w.-]+/g, '_'))
      const turn = { folder: join(of.shared, 'locks'), name: () => basename(folder), signal }
      const [done] = await inTurn([folder], turn, () =>
        once(folder, { ground: groundHash(ground), arm: arm.name, name }, (resume) => make(folder, resume)),
      )
      return (done as NonNullable<typeof done>).result
    },
    onEvent,
    signal,
  }
}

/** The base config over the clients of the split, charged to a ledger inside the comparison. */
async function configured(
  { config, split }: Ground,
  { epsilon, corpus }: TaskOf,
  set: Readonly<Record<string, unknown>>,
): Promise<LoadedConfig> {
  const changed = { ...config, set: { ...config.set, ...set } }
  const loaded = await baseConfig(changed, epsilon ?? Number.POSITIVE_INFINITY)
  const { data, privacy, output: _, ...rest } = loaded.config
  const { ledger: _ledger, budget: _budget, embeddingCache: _cache, ...terms } = privacy
  const { consented: _consented, ...texts } = data
  const labelled = rest.evolution.labels !== undefined
  return {
    ...loaded,
    config: {
      ...rest,
      name: `${config.name}-pretext`,
      seed: corpus,
      // Consented clients are for the evaluation: a run over the split reports nothing of them.
      data: {
        ...texts,
        private: {
          path: resolve(split.clients),
          format: 'jsonl',
          text: 'text',
          client: 'client',
          onBadRow: 'error',
          ...(labelled ? { label: 'label' } : {}),
        },
      },
      privacy: terms,
      output: { folder: config.folder },
    },
  }
}
