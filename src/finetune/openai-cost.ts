// What an OpenAI fine-tuning will cost, before anything is uploaded: tokens of the training file, times epochs, times the
// price. Tokens are counted by o200k_base, the vocabulary of the models that can be tuned.
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { PretextError } from '../errors.ts'
import { PRICES_DATE, trainingPriceOf } from '../llm/prices.ts'
import { estimateTokens } from '../llm/tokens.ts'

export interface FineTuneEstimate {
  readonly model: string
  readonly examples: number
  readonly epochs: number
  /** Tokens that are paid for: those of the file, in every epoch. */
  readonly tokens: number
  /** US dollars; null where the model has no price. */
  readonly dollars: number | null
  /** Date of the price table, or 'given'. */
  readonly pricesAsOf: string
}

export async function estimateFineTune(
  file: string,
  { model, examples, epochs }: { readonly model: string; readonly examples: number; readonly epochs: number },
  price: number | undefined,
): Promise<FineTuneEstimate> {
  let tokens = 0
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
    tokens += await estimateTokens({ messages: JSON.parse(line).messages })
  }
  tokens *= epochs
  const perMillion = price ?? trainingPriceOf(model)
  return {
    model,
    examples,
    epochs,
    tokens,
    dollars: perMillion === null ? null : (tokens * perMillion) / 1e6,
    pricesAsOf: price === undefined ? PRICES_DATE : 'given',
  }
}

/** Refuses what could cost more than the limit, or whose cost is not known. */
export function checkCost({ model, dollars }: FineTuneEstimate, limit: number | undefined): void {
  if (limit === undefined) return
  if (dollars === null) {
    throw new PretextError(`the price of training ${model} is not known, so --max-cost cannot be held`, {
      code: 'cost',
      hint: 'give it with --price (US dollars per million training tokens)',
    })
  }
  if (dollars > limit) {
    throw new PretextError(
      `the fine-tuning would cost about $${dollars.toFixed(2)}, over --max-cost ${limit}; nothing was uploaded`,
      { code: 'cost', hint: 'train for fewer epochs, on fewer texts, or raise --max-cost' },
    )
  }
}
