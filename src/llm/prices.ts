// What a model's tokens cost: list prices of a date, which a config can replace. A model that is not here has no price,
// and the plan then shows tokens only.

export interface Price {
  /** US dollars per million prompt tokens. */
  readonly input: number
  /** US dollars per million completion tokens. */
  readonly output: number
}

/** The day the built-in list is of; prices change, so whatever is computed from it shows this date. */
export const PRICES_DATE = '2025-08-07'

const PRICES: Readonly<Record<string, Price>> = {
  'gpt-3.5-turbo': { input: 0.5, output: 1.5 },
  'gpt-4o': { input: 2.5, output: 10 },
  'gpt-4o-mini': { input: 0.15, output: 0.6 },
  'gpt-4.1': { input: 2, output: 8 },
  'gpt-4.1-mini': { input: 0.4, output: 1.6 },
  'gpt-4.1-nano': { input: 0.1, output: 0.4 },
  'gpt-5': { input: 1.25, output: 10 },
  'gpt-5-mini': { input: 0.25, output: 2 },
  'gpt-5-nano': { input: 0.05, output: 0.4 },
}

/** US dollars per million tokens of training (every epoch counts), for the models that can be fine-tuned. */
const TRAINING_PRICES: Readonly<Record<string, number>> = {
  'gpt-3.5-turbo': 8,
  'gpt-4o': 25,
  'gpt-4o-mini': 3,
  'gpt-4.1': 25,
  'gpt-4.1-mini': 5,
  'gpt-4.1-nano': 1.5,
}

const withoutDate = (model: string): string => model.replace(/-\d{4}-\d{2}-\d{2}$/, '')

/** The built-in price of fine-tuning a model, or null. */
export function trainingPriceOf(model: string): number | null {
  const name = withoutDate(model)
  return Object.hasOwn(TRAINING_PRICES, name) ? (TRAINING_PRICES[name] as number) : null
}

/**
 * The built-in price of a model; a dated snapshot (`gpt-4o-mini-2024-07-18`) costs what its model costs, and in a batch
 * everything costs half.
 */
export function priceOf(model: string, batch = false): Price | null {
  const name = withoutDate(model)
  if (!Object.hasOwn(PRICES, name)) return null
  const { input, output } = PRICES[name] as Price
  return batch ? { input: input / 2, output: output / 2 } : { input, output }
}

/** US dollars for these tokens, or null for a model without a price. */
export function cost(
  model: string,
  tokens: { readonly promptTokens: number; readonly completionTokens: number },
  price: Price | null = priceOf(model),
): number | null {
  if (price === null) return null
  return (tokens.promptTokens * price.input + tokens.completionTokens * price.output) / 1e6
}
