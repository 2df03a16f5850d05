// The folder of one run: what is in it, who may work on it, and whether it can go on.
import { createHash, randomBytes } from 'node:crypto'
import { access, readdir, readFile } from 'node:fs/promises'
import { basename, join, relative, resolve } from 'node:path'
import { stringify } from 'yaml'
import { z } from 'zod'
import type { Config } from '../config/schema.ts'
import { readIfThere, writeDurable } from '../durable.ts'
import { PretextError } from '../errors.ts'
import { takeLock } from '../lock.ts'
import { infinityAsText } from '../report/json.ts'

const Manifest = z.looseObject({
  format: z.literal('pretext-run'),
  version: z.literal(1),
  id: z.string(),
  /** The run's name in the ledger: unlike its folder's, it is never used twice. */
  chargedAs: z.string(),
  /** The ledger that the run is charged to, seen from the run's folder. */
  ledger: z.string(),
  /** The config file that the run was started with, seen from the run's folder; absent where there was none. */
  configFile: z.string().optional(),
  name: z.string(),
  status: z.enum(['running', 'sealed', 'finished']),
  startedAt: z.string(),
  finishedAt: z.string().optional(),
  pretext: z.string(),
  node: z.string(),
  configSha256: z.string(),
  dataset: z.string(),
  simulation: z.boolean(),
  command: z.string(),
  /** Seconds of work over all processes that worked on the run. */
  seconds: z.number(),
})

export type RunManifest = z.infer<typeof Manifest>

export interface RunFolder {
  readonly path: string
  readonly manifest: RunManifest
  readonly resumed: boolean
  readonly file: (name: string) => string
  readonly roundFolder: (t: number) => string
  update(change: Partial<RunManifest>): Promise<void>
  release(): Promise<void>
}

export interface OpenRunOptions {
  readonly config: Config
  /** Folder of all runs. */
  readonly runs: string
  /** Ledger of the data set. */
  readonly ledger: string
  /** The config file; its place is noted, so that an evaluation finds the texts again. */
  readonly configFile?: string
  /** The run's own folder, instead of one named by name and time. */
  readonly out?: string
  /** true: the latest unfinished run of this name; a string: that run. */
  readonly resume?: boolean | string
  readonly command: string
  readonly pretextVersion: string
  readonly now?: () => Date
  readonly lockWaitMs?: number
}

export async function openRun(options: OpenRunOptions): Promise<RunFolder> {
  const now = options.now ?? (() => new Date())
  const path = await chooseFolder(options, now())
  const unlock = await takeLock(
    path,
    'run',
    options.lockWaitMs === undefined ? {} : { waitMs: options.lockWaitMs },
  )
  try {
    const before = await readManifest(path)
    const configSha256 = hashConfig(options.config)
    if (before === undefined && (await hasOtherFiles(path))) {
      throw new PretextError(`${path}: expected an empty folder or a run, got something else`, {
        code: 'config',
        hint: 'choose another folder with --out',
      })
    }
    if (before !== undefined) checkResumable(path, before, configSha256, options, await readConfig(path))
    let manifest: RunManifest =
      before === undefined
        ? {
            format: 'pretext-run',
            version: 1,
            id: basename(path),
            chargedAs: `${basename(path)}-${randomBytes(6).toString('hex')}`,
            ledger: relative(path, options.ledger),
            ...(options.configFile === undefined ? {} : { configFile: relative(path, options.configFile) }),
            name: options.config.name,
            status: 'running',
            startedAt: now().toISOString(),
            pretext: options.pretextVersion,
            node: process.version,
            configSha256,
            dataset: options.config.data.dataset,
            simulation: options.config.data.simulation,
            command: options.command,
            seconds: 0,
          }
        : { ...before, status: 'running' }
    await writeDurable(join(path, 'config.yaml'), stringify(options.config))
    await writeDurable(join(path, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`)
    return {
      path,
      get manifest() {
        return manifest
      },
      resumed: before !== undefined,
      file: (name) => join(path, name),
      roundFolder: (t) => join(path, 'rounds', String(t).padStart(4, '0')),
      async update(change) {
        manifest = { ...manifest, ...change }
        await writeDurable(join(path, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`)
      },
      release: unlock,
    }
  } catch (error) {
    await unlock()
    throw error
  }
}

/** sha256 over everything in the config that shapes the run; where its output lies does not. */
export function hashConfig(config: Config): string {
  const { output: _, $schema: __, ...rest } = config
  return createHash('sha256').update(JSON.stringify(rest, infinityAsText)).digest('hex')
}

async function chooseFolder(options: OpenRunOptions, now: Date): Promise<string> {
  if (options.out !== undefined) return resolve(options.out)
  if (typeof options.resume === 'string') {
    const path = resolve(options.runs, options.resume)
    if ((await readManifest(path)) === undefined) {
      throw new PretextError(`${path}: expected a run to resume, found none`, {
        code: 'usage',
        hint: '"pretext runs" lists them',
      })
    }
    return path
  }
  if (options.resume === true) {
    const mine = (await listRuns(options.runs)).filter(
      (run) => run.manifest.name === options.config.name && run.manifest.status !== 'finished',
    )
    const latest = mine.at(-1)
    if (latest === undefined) {
      throw new PretextError(`${options.runs}: no unfinished run named "${options.config.name}" to resume`, {
        code: 'usage',
        hint: 'leave --resume out to start one, or name a run: --resume ID ("pretext runs" lists them)',
      })
    }
    return latest.path
  }
  const stamp = now.toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15)
  return resolve(options.runs, `${options.config.name}-${stamp}`)
}

function checkResumable(
  path: string,
  before: RunManifest,
  configSha256: string,
  options: OpenRunOptions,
  old: string,
): void {
  if (before.configSha256 !== configSha256) {
    const changed = changedLines(old, stringify(options.config))
    throw new PretextError(
      `${path} belongs to a run of another config${changed.length > 0 ? ` (different: ${changed.join('; ')})` : ''}`,
      {
        code: 'config',
        hint: `go on with the config that it was started with (its values are kept in ${join(path, 'config.yaml')}), or start a new run in another folder`,
      },
    )
  }
  if (resolve(path, before.ledger) !== resolve(options.ledger)) {
    throw new PretextError(
      `${path} is charged to the ledger ${resolve(path, before.ledger)}, and would go on with ${options.ledger}`,
      {
        code: 'ledger',
        hint: 'resume from where it was started: same config file, output.folder and privacy.ledger',
      },
    )
  }
  if (before.status === 'finished') {
    throw new PretextError(`${path}: this run is finished; its corpus and report are there`, {
      code: 'usage',
      hint: 'start a new run in another folder (it is charged to the ledger again)',
    })
  }
  if (options.resume === undefined || options.resume === false) {
    throw new PretextError(`${path}: this run was begun and not finished`, {
      code: 'usage',
      hint: 'go on with --resume, or choose another folder with --out',
    })
  }
}

/** Lines of the resolved config that differ, a few of them, for the message. */
function changedLines(before: string, after: string): string[] {
  const old = new Set(before.split('\n'))
  return after
    .split('\n')
    .filter((line) => line.trim() !== '' && !old.has(line))
    .map((line) => line.trim())
    .slice(0, 4)
}

async function readConfig(path: string): Promise<string> {
  return readFile(join(path, 'config.yaml'), 'utf8').catch(() => '')
}

async function hasOtherFiles(path: string): Promise<boolean> {
  return (await readdir(path)).some((name) => !name.endsWith('.lock') && !name.startsWith('.'))
}

export async function readManifest(path: string): Promise<RunManifest | undefined> {
  const file = join(path, 'manifest.json')
  const text = await readIfThere(file)
  if (text === undefined) return undefined
  try {
    return Manifest.parse(JSON.parse(text))
  } catch (error) {
    throw new PretextError(`${file}: expected the manifest of a run, got something else`, {
      code: 'data',
      cause: error,
    })
  }
}

/** Every run in a folder, oldest first. */
export async function listRuns(runs: string): Promise<{ path: string; manifest: RunManifest }[]> {
  const names = await readdir(runs).catch(() => [])
  const found = await Promise.all(
    names.map(async (name) => {
      const path = join(runs, name)
      const manifest = await readManifest(path).catch(() => undefined)
      return manifest === undefined ? [] : [{ path, manifest }]
    }),
  )
  return found.flat().sort((a, b) => a.manifest.startedAt.localeCompare(b.manifest.startedAt))
}

export async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  )
}
