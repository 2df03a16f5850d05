// Where the time of a whole `pretext generate` goes: seconds and processor seconds of each kind of stage, and what the language
// model gave while it was asked. npx tsx bench/whole.ts CONFIG [key=value ...] (bench/gpu/whole.sh for the one on a GPU).
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '../src/config/load.ts'
import { generate } from '../src/run/generate.ts'

const [file, ...set] = process.argv.slice(2)
if (file === undefined) throw new Error('expected a config')

interface Spent {
  seconds: number
  cpuSeconds: number
  times: number
}
const spent = new Map<string, Spent>()
const cpuSeconds = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}
const started = performance.now()
const seconds = () => (performance.now() - started) / 1000
// Stages follow each other; what is between two of them is counted too.
let stage = 'between the stages'
let since = { seconds: 0, cpuSeconds: cpuSeconds() }
const enter = (next: string) => {
  const of = spent.get(stage) ?? { seconds: 0, cpuSeconds: 0, times: 0 }
  of.seconds += seconds() - since.seconds
  of.cpuSeconds += cpuSeconds() - since.cpuSeconds
  of.times++
  spent.set(stage, of)
  stage = next
  since = { seconds: seconds(), cpuSeconds: cpuSeconds() }
}

const runs = await mkdtemp(join(tmpdir(), 'whole-'))
const { report } = await generate(await loadConfig(file, { set: [`output.folder=${runs}`, ...set] }), {
  onEvent: (event) => {
    if (event.type === 'stage') enter(event.stage)
    else if (event.type === 'stage-end') enter('between the stages')
    else if (event.type === 'note') console.log(event.message)
  },
})
enter('')
const whole = seconds()
console.log(
  `${cpus().length} processors, ${report.corpus.texts} texts, ${report.rounds.length} rounds, ${whole.toFixed(1)} s\n`,
)
console.log('| stage | times | seconds | share | processors at work |')
console.log('| --- | ---: | ---: | ---: | ---: |')
for (const [name, of] of [...spent].sort(([, a], [, b]) => b.seconds - a.seconds)) {
  const [s, cpu] = [of.seconds, of.cpuSeconds]
  console.log(
    `| ${name} | ${of.times} | ${s.toFixed(1)} | ${((100 * s) / whole).toFixed(0)} % | ${(cpu / s).toFixed(1)} |`,
  )
}
console.log(`\n${JSON.stringify(report.llm)}`)
await rm(runs, { recursive: true })
