// The first population: public texts, or texts that the LLM writes without having seen any (PrE-Text's S_1).
import { PretextError } from '../errors.ts'
import { completeAll } from '../llm/complete-all.ts'
import type { Random } from '../random.ts'
import { accept } from './accept.ts'
import type { Labels } from './labels.ts'
import { apportion, type Candidate, type Population } from './population.ts'
import type { PromptedOptions } from './variation/prompted.ts'
import { type PromptTemplate, renderPrompt } from './variation/template.ts'

/** `size` public texts, without repeats while there are enough; under every label the same pool is drawn from. */
export function initialFromPublic(
  texts: readonly string[],
  size: number,
  labels: Labels,
  random: Random,
): Population {
  if (texts.length === 0) {
    throw new PretextError('expected at least one public text for the initial population, got none', {
      code: 'data',
      hint: 'check data.public in the config, and its minWords and maxWords',
    })
  }
  return apportion(labels.shares, size, 1).flatMap((count, l) => {
    const label = labels.names[l]
    const drawn = random.fork('public', l).sample(texts, count)
    const texts_ = Array.from({ length: count }, (_, i) => drawn[i % drawn.length] as string)
    return texts_.map((text) => candidate(text, label, 'public'))
  })
}

export interface ZeroShotOptions extends PromptedOptions {
  readonly template: PromptTemplate
  /** What the texts are, in a few words. It is prior knowledge, and the report says so. */
  readonly hint: string
  /** Subjects, of which each prompt names one. */
  readonly topics: readonly string[]
  readonly attempts: number
  readonly signal?: AbortSignal
  readonly onDone?: () => void
}

export async function initialFromModel(
  size: number,
  labels: Labels,
  random: Random,
  options: ZeroShotOptions,
): Promise<Population> {
  const { model, sampling, maxTokens, template, hint, topics } = options
  const places = apportion(labels.shares, size, 1).flatMap((count, l) =>
    Array.from({ length: count }, () => labels.names[l]),
  )
  const texts = new Map<number, string>()
  for (let attempt = 0; attempt <= options.attempts; attempt++) {
    const open = places.flatMap((label, i) => (texts.has(i) ? [] : [{ label, i }]))
    const requests = open.map(({ label, i }) => {
      const own = random.fork('zero-shot', i, attempt)
      const values = { hint, topic: topics.length > 0 ? own.pick(topics) : 'anything' }
      const seed = own.integer(2 ** 31)
      return { ...renderPrompt(template, model.input, { label, values }), sampling, maxTokens, seed }
    })
    let next = 0
    const { signal } = options
    for await (const completion of completeAll(model, requests, signal === undefined ? {} : { signal })) {
      const place = open[next++] as { i: number }
      const accepted = accept(completion.text, completion.finish, [], options.accept)
      if ('text' in accepted) {
        texts.set(place.i, accepted.text)
        options.onDone?.()
      }
    }
  }
  const population = places.flatMap((label, i) => {
    const text = texts.get(i)
    return text === undefined ? [] : [candidate(text, label, 'zero-shot')]
  })
  if (population.length === 0) {
    throw new PretextError(
      `the language model wrote no usable text in ${size * (options.attempts + 1)} tries`,
      {
        code: 'provider',
        hint: 'look at what it answers (evolution.initial.hint, llm.model), or start from public texts',
      },
    )
  }
  // Places without a usable text repeat usable ones, so that the population has the size that was asked for.
  return places.map((label, i) => {
    const same = population.filter((c) => c.label === label)
    const pool = same.length > 0 ? same : population
    const text = texts.get(i) ?? (pool[i % pool.length] as Candidate).text
    return candidate(text, label, 'zero-shot')
  })
}

function candidate(text: string, label: string | undefined, origin: string): Candidate {
  return label === undefined ? { text, born: 0, origin } : { text, label, born: 0, origin }
}
