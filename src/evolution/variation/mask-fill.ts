// PrE-Text's own variation (arXiv 2406.02958, section 3 and Algorithm 1, "Variation"): hide a share of a text's tokens and
// let a masked language model fill them one at a time, each drawn given what was filled before; do so `steps` times. The
// paper takes RoBERTa-large, a share of 0.3, temperature 1, no cut-off, 2 steps and 64 tokens. Here each text has a mask
// count of its own; the authors' code takes that of the shortest text of the batch for all.
import type { Random } from '../../random.ts'

/** A masked language model over token ids. `load-masked-lm.ts` makes one from a model folder. */
export interface MaskedLanguageModel {
  /** Names the model and its file: part of what a run records. */
  readonly id: string
  /** The most tokens of a sequence, special tokens counted. */
  readonly maxTokens: number
  readonly maskToken: number
  /** Never masked and never filled in: the mask, the boundaries, padding, unknown. */
  readonly specialTokens: ReadonlySet<number>
  encode(text: string, maxTokens: number): number[]
  decode(tokens: readonly number[]): string
  /** For each sequence the logits over the vocabulary at one position of it. */
  logitsAt(sequences: readonly (readonly number[])[], positions: readonly number[]): Promise<Float32Array[]>
  dispose(): Promise<void>
}

export interface MaskFillOptions {
  /** Share of a text's own tokens that a step hides, in (0, 1]; rounded, and at least one token. Default 0.3. */
  readonly share?: number
  /** How often to hide and fill. Default 2. */
  readonly steps?: number
  /** > 0; divides the logits. Default 1. */
  readonly temperature?: number
  /** (0, 1]: draw among the most likely tokens that together have this probability. Default 1, all of them. */
  readonly topP?: number
  /** A longer text loses its end. Default 64. */
  readonly maxTokens?: number
  /** Texts worked on together. Default 16. */
  readonly batchSize?: number
  readonly signal?: AbortSignal
}

/** One variation of each text, in order. The same `random` gives the same variations, whatever the batch size. */
export async function maskFill(
  model: MaskedLanguageModel,
  texts: readonly string[],
  options: MaskFillOptions,
  random: Random,
): Promise<string[]> {
  const settings = checked(options, model)
  const varied: string[] = []
  for (let start = 0; start < texts.length; start += settings.batchSize) {
    const batch = texts.slice(start, start + settings.batchSize).map((text, i) => ({
      tokens: model.encode(text, settings.maxTokens),
      random: random.fork('mask-fill', start + i),
    }))
    for (let step = 0; step < settings.steps; step++) await maskAndFill(model, batch, settings)
    varied.push(...batch.map(({ tokens }) => model.decode(tokens)))
  }
  return varied
}

interface Sequence {
  readonly tokens: number[]
  readonly random: Random
}

async function maskAndFill(
  model: MaskedLanguageModel,
  batch: readonly Sequence[],
  settings: ReturnType<typeof checked>,
): Promise<void> {
  const waiting = batch.map((sequence) => {
    const masked = maskedPositions(sequence.tokens, model, settings.share, sequence.random)
    for (const position of masked) sequence.tokens[position] = model.maskToken
    return { sequence, masked }
  })
  for (let turn = 0; ; turn++) {
    settings.signal?.throwIfAborted()
    const open = waiting.filter(({ masked }) => turn < masked.length)
    if (open.length === 0) return
    const positions = open.map(({ masked }) => masked[turn] as number)
    const logits = await model.logitsAt(
      open.map(({ sequence }) => sequence.tokens),
      positions,
    )
    open.forEach(({ sequence }, i) => {
      sequence.tokens[positions[i] as number] = drawToken(
        logits[i] as Float32Array,
        model.specialTokens,
        settings.temperature,
        settings.topP,
        sequence.random,
      )
    })
  }
}

/** Positions to hide, uniform without replacement, in the random order in which they will be filled. */
export function maskedPositions(
  tokens: readonly number[],
  model: Pick<MaskedLanguageModel, 'specialTokens'>,
  share: number,
  random: Random,
): number[] {
  const own = tokens.flatMap((token, position) => (model.specialTokens.has(token) ? [] : [position]))
  return random.sample(own, Math.max(1, Math.round(share * own.length)))
}

/** Draws from softmax(logits / temperature) among the tokens that are not `excluded`, cut to the mass `topP`. */
export function drawToken(
  logits: Float32Array,
  excluded: ReadonlySet<number>,
  temperature: number,
  topP: number,
  random: Random,
): number {
  let highest = Number.NEGATIVE_INFINITY
  logits.forEach((logit, token) => {
    if (logit > highest && !excluded.has(token)) highest = logit
  })
  const weights = Float64Array.from(logits, (logit, token) =>
    excluded.has(token) ? 0 : Math.exp((logit - highest) / temperature),
  )
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const order = topP < 1 ? Array.from(weights.keys()).sort(byWeight(weights)) : undefined
  const target = random.next() * (order === undefined ? total : massOf(weights, order, topP * total))
  let passed = 0
  let drawn = 0
  for (let i = 0; i < weights.length; i++) {
    const token = order === undefined ? i : (order[i] as number)
    const weight = weights[token] as number
    if (weight === 0) continue
    drawn = token
    passed += weight
    if (passed > target) break
  }
  return drawn
}

function byWeight(weights: Float64Array): (a: number, b: number) => number {
  return (a, b) => (weights[b] as number) - (weights[a] as number) || a - b
}

/** Mass of the fewest leading tokens that together reach `wanted`. */
function massOf(weights: Float64Array, order: readonly number[], wanted: number): number {
  let mass = 0
  for (const token of order) {
    mass += weights[token] as number
    if (mass >= wanted) break
  }
  return mass
}

function checked(options: MaskFillOptions, model: MaskedLanguageModel) {
  const {
    share = 0.3,
    steps = 2,
    temperature = 1,
    topP = 1,
    maxTokens = 64,
    batchSize = 16,
    signal,
  } = options
  const expect = (holds: boolean, name: string, what: string, value: number): void => {
    if (!holds) throw new RangeError(`expected ${name} to be ${what}, got ${value}`)
  }
  expect(share > 0 && share <= 1, 'share', 'in (0, 1]', share)
  expect(Number.isInteger(steps) && steps >= 1, 'steps', 'an integer of at least 1', steps)
  expect(temperature > 0 && Number.isFinite(temperature), 'temperature', 'above 0', temperature)
  expect(topP > 0 && topP <= 1, 'topP', 'in (0, 1]', topP)
  expect(
    Number.isInteger(maxTokens) && maxTokens >= 4 && maxTokens <= model.maxTokens,
    'maxTokens',
    `an integer from 4 to the model's ${model.maxTokens}`,
    maxTokens,
  )
  expect(Number.isInteger(batchSize) && batchSize >= 1, 'batchSize', 'an integer of at least 1', batchSize)
  return { share, steps, temperature, topP, maxTokens, batchSize, signal }
}
