// The corpus: few-shot prompts from the survivors of all rounds (PrE-Text section 4.2, the expansion), filtered,
// de-duplicated and streamed to disk. Post-processing: it costs no privacy, however many texts are asked for.
import { createWriteStream } from 'node:fs'
import { rename } from 'node:fs/promises'
import { finished } from 'node:stream/promises'
import { storageError } from '../durable.ts'
import { PretextError } from '../errors.ts'
import type { OnEvent } from '../events.ts'
import { type AcceptOptions, accept, normalisedText, type Rejection } from '../evolution/accept.ts'
import type { Labels } from '../evolution/labels.ts'
import { apportion, type Candidate, type Population } from '../evolution/population.ts'
import { type PromptTemplate, renderPrompt } from '../evolution/variation/template.ts'
import { completeAll } from '../llm/complete-all.ts'
import type { CompletionRequest, LanguageModel, Sampling } from '../llm/model.ts'
import type { Random } from '../random.ts'
import type { CorpusRow } from './writers/row.ts'

export interface ExpansionOptions {
  readonly texts: number
  /** Survivors in each prompt. */
  readonly examples: number
  /** Texts asked from each prompt, by different seeds. */
  readonly perPrompt: number
  readonly template: PromptTemplate
  readonly model: LanguageModel
  readonly sampling: Sampling
  readonly maxTokens: number
  readonly accept: AcceptOptions
  /** Gives up after `texts * maxTries` prompts. */
  readonly maxTries: number
  readonly labels: Labels
  readonly random: Random
  readonly onEvent: OnEvent
  readonly signal?: AbortSignal
}

export interface Expansion {
  readonly rows: number
  readonly tries: number
  readonly rejected: Readonly<Record<Rejection, number>>
}

/** Writes `file` (JSON lines of {text, label?}), whole or not at all; the order does not depend on the LLM's timing. */
export async function expand(seeds: Population, file: string, options: ExpansionOptions): Promise<Expansion> {
  const { labels, texts, onEvent, signal } = options
  const wanted = apportion(labels.shares, texts)
  const done = wanted.map(() => 0)
  const seen = new Set<string>()
  const rejected: Record<Rejection, number> = {
    empty: 0,
    short: 0,
    refusal: 0,
    echo: 0,
    unfinished: 0,
    duplicate: 0,
  }
  const prompts: { examples: readonly string[]; label: number }[] = []
  const aside = `${file}.part`
  const out = createWriteStream(aside, { mode: 0o600 })
  const failure = new Promise<never>((_, reject) => out.once('error', reject))
  failure.catch(() => {})
  let rows = 0
  let tries = 0
  onEvent({
    type: 'stage',
    stage: 'expansion',
    label: 'expanding the survivors',
    total: texts,
    unit: 'texts',
  })
  try {
    const requests = expansionRequests(
      seeds,
      options,
      prompts,
      (l) => (done[l] as number) < (wanted[l] as number),
    )
    for await (const completion of completeAll(
      options.model,
      requests,
      signal === undefined ? {} : { signal },
    )) {
      const { examples, label } = prompts[tries++] as { examples: readonly string[]; label: number }
      if ((done[label] as number) >= (wanted[label] as number)) continue
      const result = accept(completion.text, completion.finish, examples, options.accept)
      const reason =
        'rejected' in result ? result.rejected : seen.has(normalisedText(result.text)) ? 'duplicate' : null
      if (reason !== null || 'rejected' in result) {
        rejected[reason as Rejection]++
        continue
      }
      seen.add(normalisedText(result.text))
      done[label] = (done[label] as number) + 1
      const name = labels.names[label]
      const row: CorpusRow = name === undefined ? { text: result.text } : { text: result.text, label: name }
      if (!out.write(`${JSON.stringify(row)}\n`)) {
        await Promise.race([new Promise<void>((resolve) => out.once('drain', resolve)), failure])
      }
      onEvent({ type: 'progress', stage: 'expansion', done: ++rows, total: texts })
      if (rows === texts) break
    }
    out.end()
    await Promise.race([finished(out), failure])
    await rename(aside, file)
  } catch (error) {
    out.destroy()
    throw storageError(error, file)
  }
  onEvent({ type: 'stage-end', stage: 'expansion', label: 'expanding the survivors' })
  return { rows, tries, rejected }
}

/** Prompts without end, up to the limit of tries; each draws its examples by its own number. */
function* expansionRequests(
  seeds: Population,
  options: ExpansionOptions,
  prompts: { examples: readonly string[]; label: number }[],
  open: (label: number) => boolean,
): Generator<CompletionRequest> {
  if (seeds.length === 0) {
    throw new PretextError('expected at least one survivor to expand from, got none', { code: 'unexpected' })
  }
  const { labels, template, model, sampling, maxTokens } = options
  const byLabel = labels.names.map((name) => {
    const own = seeds.filter((seed) => seed.label === name)
    return own.length > 0 ? own : seeds
  })
  const limit = Math.ceil(options.texts * options.maxTries)
  // A label's turn comes in proportion to its share, interleaved, so that a corpus cut short keeps the shares.
  const turns = labels.shares.map(() => 0)
  for (let i = 0; i < limit; i++) {
    const label = nextLabel(labels.shares, turns, open)
    if (label === undefined) return
    turns[label] = (turns[label] as number) + 1
    const examples = options.random
      .fork('expansion', label, promptOf((turns[label] as number) - 1, options.perPrompt))
      .sample(byLabel[label] as Candidate[], options.examples)
      .map((seed) => seed.text)
    prompts.push({ examples, label })
    const name = labels.names[label]
    yield {
      ...renderPrompt(template, model.input, { examples, label: name }),
      sampling,
      maxTokens,
      seed: options.random.fork('expansion-seed', i).integer(2 ** 31),
    }
  }
}

/** Prompts taken in turn, so that one is free again, its evaluation still in memory, when it is asked again. */
const TURN = 8

/** Number of the prompt of request `i`: `TURN` prompts, each asked once, then again, `perPrompt` times in all. */
function promptOf(i: number, perPrompt: number): number {
  const block = Math.floor(i / (TURN * perPrompt))
  return block * TURN + (i % TURN)
}

function nextLabel(
  shares: readonly number[],
  turns: readonly number[],
  open: (label: number) => boolean,
): number | undefined {
  let best: number | undefined
  let bestDebt = Number.POSITIVE_INFINITY
  shares.forEach((share, l) => {
    if (share <= 0 || !open(l)) return
    const debt = ((turns[l] as number) + 1) / share
    if (debt < bestDebt) {
      best = l
      bestDebt = debt
    }
  })
  return best
}
