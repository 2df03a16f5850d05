// `npx tsx bench/audit-floor.ts [NOISE_MULTIPLIER ...]`: what honest runs of the noise audit show of themselves. For each
// noise multiplier 200 audits of the deployed path; the 1st percentile of their bounds is the floor that `pretext audit`
// asks of a run with these settings. Writes bench/audit-floor.json; a multiplier that is not named keeps its old entry.
// One process to a core; about half an hour of CPU for each multiplier.
import { fork } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { auditNoise } from '../src/audit/audit-noise.ts'
import { voteBound } from '../src/histogram/bound.ts'

const RUNS = 200
const SAMPLES = 4_000_000
const DELTA = 3e-6
const FILE = process.env.AUDIT_FLOOR_FILE ?? fileURLToPath(new URL('audit-floor.json', import.meta.url))

type Audit = Awaited<ReturnType<typeof auditNoise>>
const vote = { mode: 'normalised' as const, maxTextsPerClient: 8, neighbours: 1 }
const rounded = (value: number) => Number(value.toFixed(4))

/** A child process: audits on demand. */
function serve(): void {
  process.on('message', async (noiseMultiplier: number) => {
    const audit = await auditNoise({
      vote,
      bound: voteBound(vote),
      adjacency: 'add-remove',
      noiseMultiplier,
      rounds: 1,
      delta: DELTA,
      samples: SAMPLES,
    })
    process.send?.(audit)
  })
}

/** 200 audits, shared out to one process for each core. */
async function honest(noiseMultiplier: number): Promise<readonly Audit[]> {
  const audits: Audit[] = []
  let started = 0
  const worker = () =>
    new Promise<void>((resolve, reject) => {
      const child = fork(fileURLToPath(import.meta.url), ['--serve'])
      const next = () => {
        if (started === RUNS) {
          child.kill()
          return resolve()
        }
        started++
        child.send(noiseMultiplier)
      }
      child.on('message', (audit: Audit) => {
        audits.push(audit)
        console.error(
          `noise multiplier ${noiseMultiplier}: run ${audits.length}/${RUNS}: ${audit.epsilon?.bound.toFixed(4)}`,
        )
        next()
      })
      child.on('error', reject)
      next()
    })
  await Promise.all(Array.from({ length: availableParallelism() }, worker))
  return audits
}

async function calibrate(noiseMultiplier: number): Promise<void> {
  const audits = await honest(noiseMultiplier)
  const bounds = audits.map((audit) => audit.epsilon?.bound ?? 0).sort((a, b) => a - b)
  const mus = audits.map((audit) => audit.mu?.bound ?? 0).sort((a, b) => a - b)
  const at = (values: readonly number[], share: number) =>
    rounded(values[Math.ceil(share * values.length) - 1] as number)
  const [first] = audits
  const entry = {
    noiseMultiplier,
    rounds: 1,
    delta: DELTA,
    samples: SAMPLES,
    runs: RUNS,
    confidence: first?.confidence,
    trials: first?.trials,
    claim: rounded(first?.claim.epsilon ?? 0),
    /** 1st percentile: the second smallest of 200. */
    floor: at(bounds, 0.01),
    smallest: at(bounds, 1 / RUNS),
    median: at(bounds, 0.5),
    largest: at(bounds, 1),
    aboveClaim: audits.filter((audit) => audit.verdict === 'above-claim').length,
    mu: { claim: rounded(first?.claim.mu ?? 0), smallest: at(mus, 1 / RUNS), largest: at(mus, 1) },
    command: `npx tsx bench/audit-floor.ts ${noiseMultiplier}`,
    machine: `${availableParallelism()} cores, Node ${process.versions.node}`,
    date: new Date().toISOString().slice(0, 10),
  }
  const before: (typeof entry)[] = JSON.parse(await readFile(FILE, 'utf8').catch(() => '[]'))
  const after = [...before.filter((e) => e.noiseMultiplier !== noiseMultiplier), entry]
  after.sort((a, b) => a.noiseMultiplier - b.noiseMultiplier)
  await writeFile(FILE, `${JSON.stringify(after, null, 2)}\n`)
}

if (process.argv[2] === '--serve') serve()
else {
  const multipliers = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [1, 2.31]
  for (const noiseMultiplier of multipliers) await calibrate(noiseMultiplier)
}
