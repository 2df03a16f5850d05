// What the command line costs before it does anything: `pretext account` against a bare Node, interleaved so that a busy
// machine burdens both alike. Run after `npm run build`: npx tsx bench/start.ts [runs] [path of pretext.js]
import { spawnSync } from 'node:child_process'
import { cpus } from 'node:os'
import { resolve } from 'node:path'

const runs = Number(process.argv[2] ?? 41)
const pretext = process.argv[3] ?? resolve(import.meta.dirname, '../bin/pretext.js')

const account = [pretext, 'account', '--noise', '11.3', '--rounds', '11', '--delta', '3e-6']
const SUBJECTS: Record<string, readonly string[]> = {
  'node -e 0': ['-e', '0'],
  'pretext account --accountant analytic': [...account, '--accountant', 'analytic'],
  'pretext account': account,
  'pretext --help': [pretext, '--help'],
}

function once(args: readonly string[]): number {
  const start = process.hrtime.bigint()
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`exit code ${status}: ${stderr}`)
  return Number(process.hrtime.bigint() - start) / 1e6
}

const times = new Map(Object.keys(SUBJECTS).map((name) => [name, [] as number[]]))
for (let i = 0; i < runs; i++) {
  for (const [name, args] of Object.entries(SUBJECTS)) times.get(name)?.push(once(args))
}

function quantile(values: readonly number[], part: number): number {
  return [...values].sort((a, b) => a - b)[Math.floor(part * (values.length - 1))] as number
}

const bare = times.get('node -e 0') as number[]
console.log(`${cpus().length} cores, Node ${process.version}, ${runs} runs each, milliseconds`)
for (const [name, values] of times) {
  const added = quantile(
    values.map((value, i) => value - (bare[i] as number)),
    0.5,
  )
  const ratio = quantile(values, 0.5) / quantile(bare, 0.5)
  console.log(
    `${name.padEnd(38)} median ${quantile(values, 0.5).toFixed(0).padStart(4)}  fastest ${quantile(values, 0).toFixed(0).padStart(4)}  over bare Node: median ${added.toFixed(0).padStart(4)}, x ${ratio.toFixed(2)}`,
  )
}
