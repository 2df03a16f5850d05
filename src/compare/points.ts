// Tuning: the grid of an arm as points, and as many of them as the comparison gives every arm, drawn by a seed of its own.
// All are checked before anything runs.
import { PretextError } from '../errors.ts'
import { seededRandom } from '../random.ts'
import type { Arm } from './arm.ts'
import type { CompareConfig } from './config.ts'

export type Settings = Readonly<Record<string, unknown>>

export interface Points {
  readonly points: readonly Settings[]
  /** Combinations in the grid, of which `points` are a draw. */
  readonly grid: number
}

/** Throws PretextError `config` for a setting or a grid that the arm does not know. */
export function pointsOf(
  arm: Arm,
  entry: CompareConfig['arms'][string] | undefined,
  trials: number,
  file: string,
): Points {
  const base = entry?.settings ?? {}
  // A setting that was named is not tuned, unless the comparison names a grid for it.
  const own = Object.fromEntries(Object.entries(arm.grid).filter(([key]) => !(key in base)))
  const grid = entry?.grid ?? own
  const list = Array.isArray(grid)
  const all = (list ? grid : combined(grid)).map((choice, i) =>
    checked(arm, { ...base, ...choice }, file, list ? `grid.${i}` : 'settings'),
  )
  const known = new Map(all.map((point) => [JSON.stringify(point), point]))
  const points = [...known.values()]
  // One trial is no tuning: the arm's own settings stand.
  const chosen =
    trials === 1
      ? [checked(arm, base, file)]
      : points.length <= trials
        ? points
        : seededRandom(0, 'trials', arm.name).sample(points, trials)
  return { points: chosen, grid: points.length }
}

function combined(grid: Readonly<Record<string, readonly unknown[]>>): Settings[] {
  let products: Settings[] = [{}]
  for (const [key, values] of Object.entries(grid)) {
    products = products.flatMap((point) => values.map((value) => ({ ...point, [key]: value })))
  }
  return products
}

function checked(arm: Arm, settings: Settings, file: string, place = 'settings'): Settings {
  const parsed = arm.settings.safeParse(settings)
  if (parsed.success) return parsed.data as Settings
  const faults = parsed.error.issues.map(
    ({ path, message }) => `${file}: arms.${arm.name}.${[place, ...path].join('.')}: ${message}`,
  )
  throw new PretextError([...new Set(faults)].slice(0, 10).join('\n'), {
    code: 'config',
    hint: `"pretext baseline ${arm.name}" alone lists its settings and its grid`,
  })
}
