// What an audit found, for people, and the error that it ends with where something is wrong.
import type { CorpusAudit } from '../../audit/audit-corpora.ts'
import type { NoiseAudit } from '../../audit/audit-noise.ts'
import { VIEWS } from '../../audit/views.ts'
import { PretextError } from '../../errors.ts'
import { exactDuration } from '../../report/figures.ts'
import { table } from './output.ts'
import { number } from './progress.ts'

const percent = (share: number) => `${Number((100 * share).toFixed(3))} %`
const count = (value: number) => value.toLocaleString('en-US')

export function noiseTable(result: NoiseAudit): string {
  const { claim, delta, epsilon, mu, floor, trials } = result
  const sure = `with ${percent(result.confidence)} confidence`
  const rows = [
    ['path', `clip, sum and exact noise, as in a release (${result.vote} votes, ${result.adjacency})`],
    ...(result.view === 'coordinator' ? [] : [['seen by', `${result.view}: ${VIEWS[result.view]}`]]),
    [
      'noise',
      `multiplier ${result.noiseMultiplier.toFixed(4)}, ${result.rounds} ${result.rounds === 1 ? 'release' : 'releases'} composed`,
    ],
    ['claim', `epsilon ${number(claim.epsilon)} at delta ${delta} (mu ${number(claim.mu)})`],
    [
      'shown',
      epsilon === null
        ? 'nothing: the path refused the vote'
        : `epsilon is at least ${number(epsilon.bound)} at this delta, ${sure}, whatever the mechanism`,
    ],
    ...(mu === null
      ? []
      : [['', `mu is at least ${number(mu.bound)}, ${sure}: the claimed curve over all deltas`]]),
    [
      'floor',
      floor === 0
        ? 'none: so few samples show nothing of so much noise'
        : `${number(floor)}: 99 of 100 honest paths show at least this, ${number(result.typical)} on average`,
    ],
    [
      'samples',
      `${count(result.samples)} draws in ${count(result.releases)} releases, ${exactDuration(result.seconds)}; the answer rests on ${count(trials.with)} trials with the client and ${count(trials.without)} without`,
    ],
    ['verdict', VERDICTS[result.verdict]],
  ]
  return table(rows)
}

const VERDICTS: Readonly<Record<NoiseAudit['verdict'], string>> = {
  pass: 'pass: nothing contradicts the claim, and the audit saw what an honest path shows',
  'above-claim': 'FAIL: less private than claimed',
  refused: 'FAIL: the clip lets votes over the bound through',
  'below-floor': 'FAIL: the audit saw less than an honest path shows',
}

export function noiseFailure(result: NoiseAudit): PretextError | undefined {
  const { claim, delta, epsilon, mu, broken, floor } = result
  const sure = `with ${percent(result.confidence)} confidence`
  const fail = (message: string, hint: string) =>
    new PretextError(message, { code: 'audit', hint, details: { audit: result } })
  switch (result.verdict) {
    case 'pass':
      return undefined
    case 'refused':
      return fail(
        'the noise path refused a vote that its own clip made: the clip does not hold the L2 bound',
        'release nothing with this build, and report it',
      )
    case 'below-floor':
      return fail(
        `the audit shows epsilon ${number(epsilon?.bound ?? 0)}, below the floor of ${number(floor)} that honest paths reach`,
        'one honest run in a hundred falls below it: run again; if it stays there, the noise is not what the config says',
      )
    case 'above-claim': {
      const byEpsilon = (epsilon?.bound ?? 0) > claim.epsilon
      const where =
        broken === null
          ? ''
          : `; at delta ${broken.delta.toPrecision(2)} epsilon is at least ${number(broken.epsilon)}, claimed ${number(broken.claim)}`
      return fail(
        byEpsilon
          ? `less private than claimed: ${sure}, epsilon is at least ${number(epsilon?.bound ?? 0)} at delta ${delta}, claimed ${number(claim.epsilon)}`
          : `less private than claimed: ${sure}, mu is at least ${number(mu?.bound ?? 0)}, claimed ${number(claim.mu)}${where}`,
        `release nothing with this build, and report it; seen by: ${ATTACK_WORDS[(byEpsilon ? epsilon : mu)?.attack ?? 'votes']}`,
      )
    }
  }
}

const ATTACK_WORDS: Readonly<Record<'votes' | 'candidates' | 'releases', string>> = {
  votes: "the client's own candidates",
  candidates: "the client's candidates compared with others of the same release",
  releases: "the client's candidates compared between releases",
}

const share = (value: number) => value.toFixed(3)

export function corpusTable(audit: CorpusAudit): string {
  const { attacks, control, lowFpr } = audit
  const sure = percent(audit.confidence)
  const rows = [
    [
      'runs',
      `${audit.pairs} ${audit.pairs === 1 ? 'pair' : 'pairs'}, ${audit.canariesInEachRun} canaries in each run; each canary is in one run of its pair and not in the other`,
    ],
    [
      'claim',
      `epsilon ${number(audit.epsilon)} at delta ${audit.delta}, which allows an AUC of ${share(audit.allowedAuc)} at most`,
    ],
    ['null', `AUC ${share(audit.nullAuc)}: the corpora do not depend on the canaries`],
    [
      'power',
      audit.smallestSeenAuc === null
        ? 'none: so few canaries show no effect at all'
        : `an AUC of ${share(audit.smallestSeenAuc)} is seen in ${percent(audit.power)} of such audits; smaller ones may be missed`,
    ],
    ['verdict', CORPUS_VERDICTS[audit.verdict]],
  ]
  const measured = [
    ['membership inference', 'AUC', sure, `TPR at FPR ${lowFpr}`, sure],
    ...(['ngram', 'nearest'] as const).flatMap((attack) =>
      [attacks[attack], control[attack]].map((r, i) => [
        `${ATTACK_NAMES[attack]}${i === 1 ? ', planted leak' : ''}`,
        share(r.auc),
        `[${share(r.low)}, ${share(r.high)}]`,
        share(r.truePositives),
        `[${share(r.truePositivesLow)}, ${share(r.truePositivesHigh)}]`,
      ]),
    ),
  ]
  return `SIMULATION: the texts were declared free for experiments.\n\n${table(rows)}\n\n${table(measured)}`
}

const ATTACK_NAMES = { ngram: 'n-gram model', nearest: 'nearest text' } as const

const CORPUS_VERDICTS: Readonly<Record<CorpusAudit['verdict'], string>> = {
  'nothing-seen': 'pass: the planted leak was seen, and nothing in the other runs',
  'within-claim': 'pass: members can be told in part, and no more than the claim allows',
  'above-claim': 'FAIL: members can be told better than the claim allows',
  blind: 'FAIL: the attack did not see the planted leak, so it says nothing of the other runs',
}

export function corpusFailure(audit: CorpusAudit): PretextError | undefined {
  const details = { audit }
  if (audit.verdict === 'above-claim') {
    const low = Math.max(audit.attacks.ngram.low, audit.attacks.nearest.low)
    return new PretextError(
      `less private than claimed: with ${percent(audit.confidence)} confidence the AUC is at least ${share(low)}, and epsilon ${number(audit.epsilon)} allows ${share(audit.allowedAuc)}`,
      { code: 'audit', hint: 'release nothing made with this config, and report it', details },
    )
  }
  if (audit.verdict === 'blind') {
    return new PretextError(
      `the attack did not see the planted leak among ${audit.control.canaries} canaries, so the audit says nothing`,
      { code: 'audit', hint: 'use more canaries (--canaries), or a larger corpus (generate.texts)', details },
    )
  }
  return undefined
}
