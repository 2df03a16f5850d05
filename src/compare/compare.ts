// A comparison: every arm with every epsilon, its trials and its seeds, and one report. Done parts are not done again, so that
// the same command goes on after any stop; an arm that fails leaves the others to be finished.
import { join } from 'node:path'
import { writeDurable } from '../durable.ts'
import { PretextError } from '../errors.ts'
import type { ignoreEvents } from '../events.ts'
import type { ComparisonReport } from '../report/comparison-data.ts'
import { renderComparison } from '../report/comparison-page.ts'
import { infinityAsText } from '../report/json.ts'
import type { Arm } from './arm.ts'
import { type ArmRuns, runArm } from './arm-runs.ts'
import { collect } from './collect.ts'
import type { CompareConfig } from './config.ts'
import { baseConfig, type CompareOptions, onGround } from './ground.ts'
import { type Points, pointsOf } from './points.ts'
import { ARMS } from './registry.ts'

export interface Compared {
  readonly report: ComparisonReport
  readonly json: string
  readonly html: string
}

/** Throws PretextError `batch` where an arm failed, after the report of the others was written. */
export async function compare(config: CompareConfig, options: CompareOptions = {}): Promise<Compared> {
  const warnings: string[] = []
  const onEvent: typeof ignoreEvents = (event) => {
    if (event.type === 'warning') warnings.push(event.message)
    options.onEvent?.(event)
  }
  // In the order of the registry, and all settings checked, before the first hour is spent.
  const plans = ARMS.filter(({ name }) => config.arms[name] !== undefined).map((arm) => ({
    arm,
    points: pointsOf(arm, config.arms[arm.name], config.trials, config.file),
  }))
  for (const { arm, points } of plans) await checkSets(config, arm, points)
  try {
    return await onGround(config, { ...options, onEvent }, async (ground) => {
      const runs: ArmRuns[] = []
      for (const { arm, points } of plans) runs.push(...(await runArm(ground, arm, points)))
      const begun = ground.doneOnly ? runs.filter((arm) => arm.runs.length > 0) : runs
      const command = options.command ?? 'pretext compare'
      const report = collect(ground, begun, { command, warnings })
      const json = join(config.folder, `${options.report ?? 'comparison'}.json`)
      const html = join(config.folder, `${options.report ?? 'comparison'}.html`)
      await writeDurable(json, `${JSON.stringify(report, infinityAsText, 2)}\n`)
      await writeDurable(html, renderComparison(report))
      onEvent({ type: 'artefact', kind: 'report', path: html })
      return { report, json, html }
    })
  } catch (error) {
    if (options.signal?.aborted !== true) throw error
    throw new PretextError('stopped; what was done is kept', {
      code: 'interrupted',
      hint: 'run the same command again: finished parts are not done again',
    })
  }
}

/** Throws PretextError `config` where a choice changes keys of the base config to what it does not take. */
export async function checkSets(config: CompareConfig, arm: Arm, { points }: Points): Promise<void> {
  for (const { set = {} } of points as { set?: Readonly<Record<string, unknown>> }[]) {
    if (Object.keys(set).length === 0) continue
    try {
      await baseConfig({ ...config, set: { ...config.set, ...set } }, config.epsilons[0] as number)
    } catch (error) {
      if (!(error instanceof PretextError)) throw error
      throw new PretextError(
        `${config.file}: arms.${arm.name}.settings.set: ${JSON.stringify(set)}: ${error.message}`,
        { code: error.code, ...(error.hint === undefined ? {} : { hint: error.hint }) },
      )
    }
  }
}
