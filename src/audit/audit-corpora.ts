// `pretext audit --corpus`: pairs of whole runs on simulation data, each canary in one run of its pair and not in the other,
// and what an attacker who reads both corpora can tell of that. A pair that leaks on purpose shows that the attack works.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LoadedConfig } from '../config/load.ts'
import { writeDurable } from '../durable.ts'
import { PretextError } from '../errors.ts'
import { ignoreEvents, type OnEvent } from '../events.ts'
import { composedMu, epsilonOf } from '../privacy/accountant.ts'
import { normalCdf } from '../privacy/special.ts'
import { seededRandom } from '../random.ts'
import { infinityAsText } from '../report/json.ts'
import { SIMULATION_BANNER } from '../report/privacy-statement.ts'
import { generate } from '../run/generate.ts'
import { openEmbedder, openModels } from '../run/models.ts'
import { planNoise } from '../run/noise.ts'
import { readCorpus } from '../run/read-run.ts'
import { type ClientRow, makeCanaries } from './canaries.ts'
import { canaryWords, requireSimulation, rowsWithCanaries, runConfig, simulationRows } from './canary-data.ts'
import { leaking } from './leaking-model.ts'
import { MEMBERSHIP_ATTACKS, type MembershipAttack, membershipScores } from './membership.ts'
import { LOW_FPR, type MembershipResult, membershipResult, type PairedScore, smallestSeen } from './power.ts'

export interface CorpusAuditOptions {
  /** Pairs of runs, besides the pair that leaks on purpose. */
  readonly pairs: number
  /** Canaries in each run; as many again are left out of it and are in the other run of the pair. */
  readonly canaries: number
  /** Folder of the audit: its runs and audit.json. */
  readonly out: string
  readonly onEvent?: OnEvent
  readonly signal?: AbortSignal
}

export interface CorpusAudit {
  readonly format: 'pretext-corpus-audit'
  readonly version: 1
  readonly simulation: true
  readonly banner: string
  readonly verdict:
    | 'nothing-seen'
    /** Members can be told, and no more than the claim allows. */
    | 'within-claim'
    | 'above-claim'
    /** The attack did not see the planted leak: the audit says nothing. */
    | 'blind'
  readonly dataset: string
  readonly seed: number
  readonly epsilon: number
  readonly delta: number
  readonly pairs: number
  readonly runs: number
  readonly canariesInEachRun: number
  /** Canaries that were scored, each once as a member and once as a non-member. */
  readonly canaries: number
  readonly confidence: number
  /** The AUC that the null hypothesis expects: the corpora do not depend on the canaries. */
  readonly nullAuc: number
  /** The largest AUC that the claim allows. */
  readonly allowedAuc: number
  /** The smallest AUC that so many canaries show to be above the null in 80 of 100 audits; null: none. */
  readonly smallestSeenAuc: number | null
  readonly power: number
  readonly lowFpr: number
  readonly attacks: Readonly<Record<MembershipAttack, MembershipResult>>
  readonly control: { readonly canaries: number } & Readonly<Record<MembershipAttack, MembershipResult>>
}

type PairedScores = Record<MembershipAttack, PairedScore[]>

const CONFIDENCE = 0.95
const POWER = 0.8
const ATTACKS = Object.keys(MEMBERSHIP_ATTACKS) as MembershipAttack[]

/** Runs the audit and writes audit.json. Throws PretextError where the data are not declared a simulation. */
export async function auditCorpora(loaded: LoadedConfig, options: CorpusAuditOptions): Promise<CorpusAudit> {
  const { config } = loaded
  const { pairs, canaries, out, onEvent = ignoreEvents } = options
  requireSimulation(loaded)
  requireEnough(options)
  const random = seededRandom(config.seed, 'corpus-audit')
  const rows = await simulationRows(loaded, options.signal)
  if (rows.length < 2 * canaries) {
    throw new PretextError(
      `expected at least ${2 * canaries} texts to make ${canaries} canaries for each run of a pair, got fewer`,
      { code: 'data', hint: 'use fewer canaries (--canaries), or more texts' },
    )
  }
  const embedder = await openEmbedder(loaded, { onEvent })
  // Never below the run folder: what lies here are the texts themselves. Other users cannot read it, and it goes away.
  const scratch = await mkdtemp(join(tmpdir(), 'pretext-audit-'))
  const total = 2 * (pairs + 1)
  const label = `auditing corpora: ${pairs} ${pairs === 1 ? 'pair' : 'pairs'} of runs, and one that leaks on purpose`
  onEvent({ type: 'stage', stage: 'audit', label, total, unit: 'runs' })
  let done = 0
  const warned = new Set<string>()
  try {
    const onePair = async (name: string, leak: boolean): Promise<PairedScores> => {
      const all = makeCanaries(rows, {
        count: 2 * canaries,
        words: canaryWords(loaded),
        random: random.fork(name),
      })
      const halves = [all.slice(0, canaries), all.slice(canaries)] as const
      const scores = []
      for (const [side, members] of halves.entries()) {
        const arm = side === 0 ? 'a' : 'b'
        const corpus = await corpusWith(members, { name: `${name}-${arm}`, leak })
        scores.push(
          await membershipScores(
            all.map((canary) => canary.text),
            corpus,
            embedder,
          ),
        )
        onEvent({ type: 'progress', stage: 'audit', done: ++done, total })
      }
      const [first, second] = scores as [(typeof scores)[0], (typeof scores)[0]]
      const paired = (attack: MembershipAttack): PairedScore[] =>
        all.map((_, i) => {
          const [a, b] = [first[attack][i] as number, second[attack][i] as number]
          return i < canaries ? { member: a, nonMember: b } : { member: b, nonMember: a }
        })
      return { ngram: paired('ngram'), nearest: paired('nearest') }
    }
    const corpusWith = async (
      members: readonly ClientRow[],
      { name, leak }: { readonly name: string; readonly leak: boolean },
    ): Promise<string[]> => {
      const file = join(scratch, `${name}.jsonl`)
      await writeFile(file, rowsWithCanaries(rows, members, loaded), { mode: 0o600 })
      const texts = members.map((canary) => canary.text)
      const result = await generate(runConfig(loaded, file, out, name), {
        out: join(out, name),
        command: 'pretext audit --corpus',
        ...(options.signal === undefined ? {} : { signal: options.signal }),
        ...(leak ? { openModels: leaking(openModels, texts) } : {}),
        onEvent(event) {
          // The stages of eight runs would bury the audit's own; a warning is worth reading once.
          if (event.type !== 'warning' || warned.has(event.message)) return
          warned.add(event.message)
          onEvent(event)
        },
      })
      await rm(file, { force: true })
      return (await readCorpus(result.folder)).map((row) => row.text)
    }

    const control = await onePair('leaking', true)
    const measured: PairedScores = { ngram: [], nearest: [] }
    for (let p = 1; p <= pairs; p++) {
      const scores = await onePair(`pair-${String(p).padStart(2, '0')}`, false)
      for (const attack of ATTACKS) measured[attack].push(...scores[attack])
    }
    onEvent({ type: 'stage-end', stage: 'audit', label })

    const audit = summary(loaded, options, measured, control)
    await writeDurable(join(out, 'audit.json'), `${JSON.stringify(audit, infinityAsText, 2)}\n`)
    onEvent({ type: 'artefact', kind: 'audit', path: join(out, 'audit.json') })
    return audit
  } finally {
    await rm(scratch, { recursive: true, force: true })
    await embedder.dispose()
  }
}

function summary(
  { config }: LoadedConfig,
  options: CorpusAuditOptions,
  measured: PairedScores,
  control: PairedScores,
): CorpusAudit {
  const noise = planNoise(config)
  const mechanisms = Array.from({ length: noise.releases }, () => noise.mechanism)
  const mu = composedMu(mechanisms)
  // Two attacks share the chance of an error.
  const alpha = (1 - CONFIDENCE) / ATTACKS.length
  const results = {
    ngram: membershipResult(measured.ngram, alpha),
    nearest: membershipResult(measured.nearest, alpha),
  }
  const controls = {
    ngram: membershipResult(control.ngram, alpha),
    nearest: membershipResult(control.nearest, alpha),
  }
  const allowedAuc = mu === Number.POSITIVE_INFINITY ? 1 : normalCdf(mu / Math.SQRT2)
  const lowest = Math.max(...ATTACKS.map((attack) => results[attack].low))
  return {
    format: 'pretext-corpus-audit',
    version: 1,
    simulation: true,
    banner: SIMULATION_BANNER,
    verdict: !ATTACKS.some((attack) => controls[attack].low > 0.5)
      ? 'blind'
      : lowest > allowedAuc
        ? 'above-claim'
        : lowest > 0.5
          ? 'within-claim'
          : 'nothing-seen',
    dataset: config.data.dataset,
    seed: config.seed,
    epsilon: epsilonOf(mechanisms, config.privacy.delta),
    delta: config.privacy.delta,
    pairs: options.pairs,
    runs: 2 * (options.pairs + 1),
    canariesInEachRun: options.canaries,
    canaries: measured.ngram.length,
    confidence: CONFIDENCE,
    nullAuc: 0.5,
    allowedAuc,
    smallestSeenAuc: smallestSeen(measured.ngram.length, alpha, POWER),
    power: POWER,
    lowFpr: LOW_FPR,
    attacks: results,
    control: { canaries: control.ngram.length, ...controls },
  }
}

/** With fewer, not even a leak of everything could be told from chance. */
const FEWEST_CANARIES = 8

function requireEnough({ pairs, canaries }: CorpusAuditOptions): void {
  for (const [name, value, least] of [
    ['--pairs', pairs, 1],
    ['--canaries', canaries, FEWEST_CANARIES],
  ] as const) {
    if (Number.isInteger(value) && value >= least) continue
    throw new PretextError(`${name} expects an integer from ${least} up, got ${value}`, { code: 'usage' })
  }
}
