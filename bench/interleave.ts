// Arms of a comparison measured in turn, so that a busy machine burdens all alike: wall and processor time of each, their
// medians, and the median over the turns of the ratio to the first arm. An arm in Python is a process that answers each
// line of its standard input with one JSON line. And points that several of them search among.
import { spawn } from 'node:child_process'
import { loadavg } from 'node:os'
import { createInterface } from 'node:readline'
import { type Matrix, matrix } from '../src/embeddings/matrix.ts'
import { seededRandom } from '../src/random.ts'

export interface Measured {
  readonly wallMs: number
  /** Of all threads of the process. */
  readonly cpuMs: number
}

export type Arm = () => Promise<Measured>

export async function here(work: () => Promise<unknown>): Promise<Measured> {
  const cpu = process.cpuUsage()
  const start = performance.now()
  await work()
  const wallMs = performance.now() - start
  const { user, system } = process.cpuUsage(cpu)
  return { wallMs, cpuMs: (user + system) / 1000 }
}

export interface Summary {
  readonly arms: Readonly<Record<string, Measured>>
  /** Time of the others over that of the first, of the same turn. */
  readonly ratios: Readonly<Record<string, { readonly wall: number; readonly cpu: number }>>
  readonly turns: number
  readonly load: readonly [before: number, after: number]
}

/** One turn to warm up, which is not counted, then `turns`; every other turn goes backwards. */
export async function interleave(arms: Readonly<Record<string, Arm>>, turns: number): Promise<Summary> {
  const names = Object.keys(arms)
  const times = new Map(names.map((name) => [name, [] as Measured[]]))
  const before = loadavg()[0] as number
  for (let turn = -1; turn < turns; turn++) {
    for (const name of turn % 2 === 0 ? names : names.toReversed()) {
      const measured = await (arms[name] as Arm)()
      if (turn >= 0) times.get(name)?.push(measured)
    }
  }
  const first = times.get(names[0] as string) as Measured[]
  const of = (name: string, read: (measured: Measured, i: number) => number) =>
    median((times.get(name) as Measured[]).map(read))
  const table = <T>(row: (name: string) => T) =>
    Object.fromEntries(names.map((name) => [name, row(name)])) as Record<string, T>
  return {
    arms: table((name) => ({ wallMs: of(name, (m) => m.wallMs), cpuMs: of(name, (m) => m.cpuMs) })),
    ratios: table((name) => ({
      wall: of(name, (m, i) => m.wallMs / (first[i] as Measured).wallMs),
      cpu: of(name, (m, i) => m.cpuMs / (first[i] as Measured).cpuMs),
    })),
    turns,
    load: [before, loadavg()[0] as number],
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  return ((sorted[Math.ceil(middle) - 1] as number) + (sorted[Math.floor(middle)] as number)) / 2
}

/** Rows of a Markdown table; `work` is how many units (texts, queries, tokens) one measurement does. */
export function report(title: string, summary: Summary, work: number, unit: string): void {
  const { turns, load } = summary
  console.log(
    `\n${title} (median of ${turns} turns, load ${load[0].toFixed(1)} before, ${load[1].toFixed(1)} after)\n`,
  )
  console.log(`| arm | ms | ${unit}/s | CPU ms | wall over the first | CPU over the first |`)
  console.log('| --- | ---: | ---: | ---: | ---: | ---: |')
  for (const [name, { wallMs, cpuMs }] of Object.entries(summary.arms)) {
    const { wall, cpu } = summary.ratios[name] as { wall: number; cpu: number }
    const rate = ((1000 * work) / wallMs).toPrecision(3)
    console.log(
      `| ${name} | ${wallMs.toFixed(0)} | ${rate} | ${cpuMs.toFixed(0)} | ${wall.toFixed(2)} | ${cpu.toFixed(2)} |`,
    )
  }
}

export interface PythonArm {
  ask<T = Measured>(request: object): Promise<T>
  close(): void
}

/** `PYTHON` names an interpreter that has what the script imports. */
export function python(script: string, args: readonly string[] = []): PythonArm {
  const child = spawn(process.env.PYTHON ?? 'python3', [script, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    async ask<T>(request: object): Promise<T> {
      child.stdin.write(`${JSON.stringify(request)}\n`)
      const { value, done } = await lines.next()
      if (done === true) throw new Error(`${script} ended; does ${child.spawnfile} have its packages?`)
      return JSON.parse(value as string)
    },
    close: () => child.stdin.end(),
  }
}

/** Of embeddings by all-MiniLM-L6-v2. */
export const DIM = 384

/** Unit vectors: of all directions alike (the hard case, no candidate stands out), or around centres as texts lie around topics. */
export function points(rows: number, kind: 'random' | 'clustered', seed: number): Matrix {
  const centres = kind === 'clustered' ? points(50, 'random', 1) : undefined
  const random = seededRandom(seed, kind)
  const out = matrix(rows, DIM)
  for (let i = 0; i < rows; i++) {
    const own = out.values.subarray(i * DIM, (i + 1) * DIM)
    const centre = random.integer(50) * DIM
    for (let d = 0; d < DIM; d++) {
      const noise = random.next() + random.next() + random.next() - 1.5
      own[d] = 0.1 * noise + (centres === undefined ? 0 : (centres.values[centre + d] as number))
    }
    const norm = Math.sqrt(own.reduce((sum, value) => sum + value * value, 0))
    own.forEach((value, d) => {
      own[d] = value / norm
    })
  }
  return out
}
