// All runs of one arm, which several processes may share: for each epsilon its trials on the validation clients, then the seeds
// with the settings that were best there. A trial has a seed and a corpus of its own, so that neither a run nor a release that
// is reported was one that a choice was made by.
import { join } from 'node:path'
import { PretextError } from '../errors.ts'
import type { ModelSums } from '../evaluate/next-token.ts'
import type { ArmResult } from '../finetune/arm-job.ts'
import type { Arm } from './arm.ts'
import { dropWeights } from './drop-weights.ts'
import { checkSpent, epsilonSpent } from './epsilon.ts'
import { type Ground, groundHash } from './ground.ts'
import { inTurn } from './in-turn.ts'
import { meanSums } from './mean-sums.ts'
import type { Points, Settings } from './points.ts'
import { armTask } from './task.ts'
import { dependsHash, once, readDone } from './unit.ts'

/** One run of an arm, as it is kept. */
export interface ArmRun {
  readonly seed: number
  readonly settings: Settings
  readonly result: ArmResult
  /** By its mechanisms; null where the arm promises none. */
  readonly spent: { readonly epsilon: number } | null
  /** On the evaluation clients, of the model or as a mean over several; null where the arm leaves none, and for trials. */
  readonly sums: ModelSums | null
  readonly seconds: number
}

export interface Trial {
  readonly settings: Settings
  readonly loss: number
  readonly accuracy: number
}

export interface ArmRuns {
  readonly arm: Arm
  /** Asked for; null where epsilon changes nothing. */
  readonly epsilon: number | null
  readonly grid: number
  /** Empty where nothing was tuned. */
  readonly trials: readonly Trial[]
  readonly settings: Settings | null
  readonly runs: readonly ArmRun[]
  readonly failed: { readonly part: string; readonly code: string; readonly message: string } | null
}

/** Never throws for a fault of the arm: the others go on. Throws where the user stopped it. */
export async function runArm(ground: Ground, arm: Arm, { points, grid }: Points): Promise<ArmRuns[]> {
  const { config } = ground
  const folder = join(config.folder, 'arms', arm.name)
  const turn = { folder: join(folder, 'locks'), signal: ground.signal }
  const all: ArmRuns[] = []
  for (const epsilon of arm.epsilons === 'each' ? config.epsilons : [null]) {
    all.push(await atEpsilon(epsilon))
  }
  return all

  async function atEpsilon(epsilon: number | null): Promise<ArmRuns> {
    const at = epsilon === null ? 'any-epsilon' : `epsilon-${epsilon === Infinity ? 'inf' : epsilon}`
    const trials: Trial[] = []
    const runs: ArmRun[] = []
    let settings: Settings | null = null
    let part = at
    // Where a part failed, those after it may be there.
    const whole = <T>(list: readonly T[]) => list.filter((item) => item !== undefined)
    const answer = () => ({ arm, epsilon, grid, trials: whole(trials), settings, runs: whole(runs) })
    try {
      if (points.length > 1) {
        // No seed of the comparison is used for a choice, and no release of its corpora.
        const seed = Math.max(...config.seeds) + 1
        const name = (point: Settings) => `${at}/trial-${dependsHash(point).slice(0, 8)}`
        await inTurn(await there(points, name), { ...turn, name }, async (point, i) => {
          part = name(point)
          say(`${part}: trial ${i + 1} of ${points.length}`)
          const { result } = await run(part, point, { epsilon, seed, corpus: seed, evaluate: false })
          const { loss, accuracy } = result.validation
          trials[i] = { settings: point, loss, accuracy }
        })
      }
      const chosen = best(trials) ?? (points[0] as Settings)
      settings = chosen
      const name = (seed: number) => `${at}/seed-${seed}`
      await inTurn(await there(config.seeds, name), { ...turn, name }, async (seed) => {
        part = name(seed)
        const i = config.seeds.indexOf(seed)
        say(`${part}: run ${i + 1} of ${config.seeds.length}`)
        const corpus = corpusOf(config, seed)
        runs[i] = await run(part, chosen, { epsilon, seed, corpus, evaluate: true })
      })
      return { ...answer(), failed: null }
    } catch (error) {
      if (ground.signal?.aborted === true) throw error
      const known = error instanceof PretextError
      const code = known ? error.code : 'unexpected'
      // The message of an unforeseen error may quote a text.
      const message = known ? error.message : `an unforeseen error (${(error as Error).name})`
      ground.onEvent({ type: 'warning', message: `${arm.name}: ${part} failed: ${message}` })
      return { ...answer(), failed: { part, code, message } }
    }
  }

  function say(message: string): void {
    ground.onEvent({ type: 'note', message: `${arm.name}, ${message}` })
  }

  /** The parts to look at: all, or those whose result is there. */
  async function there<P>(parts: readonly P[], name: (part: P) => string): Promise<readonly P[]> {
    if (!ground.doneOnly) return parts
    const done = await Promise.all(parts.map((part) => readDone(join(folder, name(part)))))
    return parts.filter((_, i) => done[i] !== undefined)
  }

  async function run(
    part: string,
    settings: Settings,
    of: { epsilon: number | null; seed: number; corpus: number; evaluate: boolean },
  ): Promise<ArmRun> {
    const place = join(folder, part)
    const depends = { ground: groundHash(ground), arm: arm.name, settings, ...of }
    const { result, seconds } = await once(place, depends, async (resume) => {
      const seen = new Map<string, ReturnType<Ground['evaluate']>>()
      const evaluated = (model: string) => {
        const known = seen.get(model) ?? ground.evaluate(model, of.evaluate)
        seen.set(model, known)
        return known
      }
      const out = join(place, 'work')
      const task = armTask(ground, arm, { ...of, out, resume, evaluated, shared: join(folder, 'shared') })
      // Where several models lay is of this machine alone, and they are gone by the time that somebody reads it.
      const { models = [], ...answer } = await arm.run(task, settings)
      const spent = spentBy(arm, of.epsilon, answer, ground)
      const sums: ModelSums[] = []
      for (const model of answer.model === null ? models : [answer.model]) {
        const { evaluation } = of.evaluate ? await evaluated(model) : { evaluation: null }
        if (evaluation !== null) sums.push(evaluation)
      }
      return { result: answer, spent, sums: meanSums(sums) }
    })
    if (!config.keepModels) await dropWeights(place)
    return { seed: of.seed, settings, ...result, seconds }
  }
}

/** Seed of the corpus that a training seed uses. */
export function corpusOf(
  { corpora, seeds }: Pick<Ground['config'], 'corpora' | 'seeds'>,
  seed: number,
): number {
  return corpora === 'each' ? seed : (seeds[seeds.indexOf(seed) % corpora] as number)
}

/** The least loss on the validation clients; undefined without trials. */
export function best(trials: readonly Trial[]): Settings | undefined {
  const usable = trials.filter(({ loss }) => Number.isFinite(loss))
  if (trials.length > 0 && usable.length === 0) {
    throw new PretextError('every trial diverged: no loss on the validation clients is a number', {
      code: 'config',
      hint: 'name smaller learning rates in the grid of the arm',
    })
  }
  return usable.reduce<Trial | undefined>(
    (least, trial) => (least === undefined || trial.loss < least.loss ? trial : least),
    undefined,
  )?.settings
}

function spentBy(arm: Arm, asked: number | null, result: ArmResult, { loaded }: Ground): ArmRun['spent'] {
  const { delta, adjacency } = loaded.config.privacy
  if (arm.guarantee === 'none' || arm.guarantee === 'text') return null
  if (arm.guarantee === 'client' && asked !== null && result.mechanisms.length === 0) {
    throw new PretextError(`${arm.name}: expected the mechanisms of the run, got none`, {
      code: 'audit',
      hint: 'an arm that promises DP must say what noise it added; this is a defect of the arm',
    })
  }
  const epsilon = epsilonSpent(result.mechanisms, { delta, adjacency })
  checkSpent(arm.name, arm.guarantee === 'public' || asked === null ? 0 : asked, epsilon)
  return { epsilon }
}
