// What a run will spend, before it spends anything: privacy exactly, LLM calls between two ends, tokens, money, time and
// disk as estimates. The schedule of Private Evolution is fixed, so all of it follows from the config.
import type { LoadedConfig } from '../config/load.ts'
import { scheduled } from '../evolution/population.ts'
import { loadTemplate, renderPrompt } from '../evolution/variation/template.ts'
import { boundInVotes, voteBound } from '../histogram/bound.ts'
import { cost, PRICES_DATE, priceOf } from '../llm/prices.ts'
import { estimateTokens } from '../llm/tokens.ts'
import { sensitivityFactor } from '../privacy/units.ts'
import { promptsFolder } from './generate.ts'
import { voteOptions } from './local-steps.ts'
import { type NoisePlan, planNoise } from './noise.ts'

export interface Range {
  /** Every completion is usable at the first try. */
  readonly low: number
  /** Every try that the config allows is needed. */
  readonly high: number
}

export interface StagePlan {
  readonly stage: string
  readonly calls: Range
  /** Tokens of one call. */
  readonly promptTokens: number
  readonly completionTokens: number
}

export interface Plan {
  readonly noise: NoisePlan
  /** Cumulative epsilon after each release. */
  readonly epsilonPerRelease: readonly number[]
  /** Standard deviation of the noise on one candidate, in votes; with two servers that of both together. */
  readonly sigmaVotes: number
  readonly stages: readonly StagePlan[]
  readonly calls: Range
  readonly promptTokens: Range
  readonly completionTokens: Range
  /** US dollars; null where the model has no price. Zero for an embedded model. */
  readonly dollars: (Range & { readonly pricesAsOf: string }) | null
  /** LLM time; null where it depends on somebody else's machine. */
  readonly seconds: Range | null
  readonly diskBytes: number
}

/** Tokens in an English word, on average. */
const TOKENS_PER_WORD = 1.35
/** Tokens a second of the embedded model on two cores (bench/): what a plan assumes of this machine. */
const EMBEDDED_PROMPT_RATE = 400
const EMBEDDED_COMPLETION_RATE = 70
const BYTES_PER_TEXT = 300
const REPORT_BYTES = 400_000

export async function planRun(loaded: LoadedConfig): Promise<Plan> {
  const { config } = loaded
  const noise = planNoise(config)
  const bound = boundInVotes(voteBound(voteOptions(config)))
  const stages = await planStages(loaded)
  const sum = (of: (stage: StagePlan) => number): Range => ({
    low: stages.reduce((total, stage) => total + stage.calls.low * of(stage), 0),
    high: stages.reduce((total, stage) => total + stage.calls.high * of(stage), 0),
  })
  const calls = sum(() => 1)
  const promptTokens = sum((stage) => stage.promptTokens)
  const completionTokens = sum((stage) => stage.completionTokens)
  const { llm, evolution, generate } = config
  const price = llm.price ?? priceOf(llm.model, llm.batch)
  const dollars = (end: 'low' | 'high') =>
    cost(llm.model, { promptTokens: promptTokens[end], completionTokens: completionTokens[end] }, price)
  const free = llm.provider === 'llama' || llm.provider === 'scripted'
  const low = free ? 0 : dollars('low')
  const high = free ? 0 : dollars('high')
  const texts = evolution.rounds * scheduled(evolution.population, 1) * 2 + generate.texts * 2
  return {
    noise,
    epsilonPerRelease: Array.from({ length: noise.releases }, (_, i) => noise.epsilonAfter(i + 1)),
    sigmaVotes:
      noise.mechanism.type === 'exact'
        ? 0
        : noise.mechanism.noiseMultiplier *
          bound *
          sensitivityFactor(config.privacy.adjacency, 'non-negative') *
          (config.federation?.mode === 'two-server' && config.federation.noise === 'full' ? Math.SQRT2 : 1),
    stages,
    calls,
    promptTokens,
    completionTokens,
    dollars:
      low === null || high === null ? null : { low, high, pricesAsOf: llm.price ? 'config' : PRICES_DATE },
    seconds: seconds(config.llm, calls, promptTokens, completionTokens),
    diskBytes: (texts + calls.low) * BYTES_PER_TEXT + REPORT_BYTES,
  }
}

async function planStages(loaded: LoadedConfig): Promise<StagePlan[]> {
  const { evolution, generate } = loaded.config
  const { variation, initial, lookahead, survivors, rounds } = evolution
  const folder = promptsFolder(loaded)
  const tries = variation.attempts + 1
  const stages: StagePlan[] = []
  const size = (t: number) => scheduled(evolution.population, t)
  if (initial.from === 'zero-shot') {
    const prompt = await promptTokensOf(loaded, 'zero-shot', folder, 0)
    const calls = { low: size(1), high: size(1) * tries }
    stages.push({
      stage: 'initial population',
      calls,
      promptTokens: prompt,
      completionTokens: answer(variation),
    })
  }
  // mask-fill asks no LLM.
  const asking = variation.operators.filter((name) => name !== 'mask-fill')
  const share = asking.length / variation.operators.length
  if (share > 0) {
    const prompts = await Promise.all(asking.map((name) => promptTokensOf(loaded, name, folder, 3)))
    const promptTokens = Math.round(prompts.reduce((a, b) => a + b, 0) / prompts.length)
    const completionTokens = answer(variation)
    let low = 0
    let high = 0
    let ahead = 0
    for (let t = 1; t <= rounds; t++) {
      low += (size(t + 1) - Math.floor(survivors.keepParents * size(t + 1))) * variation.steps
      high += size(t + 1) * variation.steps * tries
      ahead += size(t) * lookahead.variations
    }
    const of = (n: number) => Math.round(n * share)
    if (ahead > 0) {
      stages.push({
        stage: 'lookahead',
        calls: { low: of(ahead), high: of(ahead) },
        promptTokens,
        completionTokens,
      })
    }
    stages.push({
      stage: 'variations',
      calls: { low: of(low), high: of(high) },
      promptTokens,
      completionTokens,
    })
  }
  stages.push({
    stage: 'expansion',
    calls: { low: generate.texts, high: Math.ceil(generate.texts * generate.maxTries) },
    promptTokens: await promptTokensOf(loaded, 'few-shot', folder, generate.examples),
    completionTokens: answer(generate),
  })
  return stages
}

/** Tokens of an answer of middling length. */
function answer(limits: { maxTokens: number; minWords: number; maxWords: number }): number {
  return Math.min(limits.maxTokens, Math.round(((limits.minWords + limits.maxWords) / 2) * TOKENS_PER_WORD))
}

/** Tokens of a prompt: the template itself, and as many texts of middling length as it shows. */
async function promptTokensOf(
  { config }: LoadedConfig,
  name: string,
  folder: string | undefined,
  texts: number,
): Promise<number> {
  const template = await loadTemplate(name, folder)
  const { minWords, maxWords } = config.evolution.variation
  const { provider, api } = config.llm
  const input = provider === 'llama' ? 'both' : api === 'completions' ? 'completion' : 'chat'
  const shown = name === 'few-shot' || name === 'continue-prefix' ? texts : Math.min(texts, 1)
  const rendered = renderPrompt(template, input, {
    examples: Array.from({ length: name === 'few-shot' ? texts : 0 }, () => ''),
    values: { text: '', prefix: '', hint: 'a short text', topic: 'music' },
  })
  return (
    (await estimateTokens(rendered.input)) +
    Math.round(((shown * (minWords + maxWords)) / 2) * TOKENS_PER_WORD)
  )
}

function seconds(
  llm: LoadedConfig['config']['llm'],
  calls: Range,
  promptTokens: Range,
  completionTokens: Range,
): Range | null {
  if (llm.provider === 'scripted') return { low: 1, high: 60 }
  const limited = (end: 'low' | 'high') =>
    Math.max(
      llm.requestsPerMinute === undefined ? 0 : (calls[end] / llm.requestsPerMinute) * 60,
      llm.tokensPerMinute === undefined
        ? 0
        : ((promptTokens[end] + completionTokens[end]) / llm.tokensPerMinute) * 60,
    )
  if (llm.provider !== 'llama')
    return limited('low') === 0 ? null : { low: limited('low'), high: limited('high') }
  const embedded = (end: 'low' | 'high') =>
    promptTokens[end] / EMBEDDED_PROMPT_RATE + completionTokens[end] / EMBEDDED_COMPLETION_RATE
  return { low: embedded('low'), high: embedded('high') }
}
