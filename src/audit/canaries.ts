// Canaries for an audit of synthetic text, after "The Canary's Echo" (arXiv 2502.14921): a beginning that is in the
// distribution of the texts, so that what is made from the canary resembles it, and an ending of improbable words, so that
// an echo of it stands out. Each is the whole contribution of one client of its own. Simulation texts only.
import type { Random } from '../random.ts'
import { clipWords, countWords } from '../texts/words.ts'

export interface ClientRow {
  readonly client: string
  readonly text: string
  readonly label?: string
}

export interface CanaryOptions {
  readonly count: number
  /** Words of a canary. */
  readonly words: number
  readonly random: Random
}

/** Of its words so many are a real beginning. */
const PREFIX_SHARE = 1 / 3

/** Canaries from the texts of a data set, each with a client of its own; the label is that of the text that it begins like. */
export function makeCanaries(rows: readonly ClientRow[], options: CanaryOptions): ClientRow[] {
  const { count, words, random } = options
  const prefix = Math.max(1, Math.floor(words * PREFIX_SHARE))
  const long = rows.filter((row) => countWords(row.text) >= prefix)
  const from = random.fork('canary-beginnings').sample(long.length >= count ? long : rows, count)
  // Every word of the data set once: frequent words are as improbable here as rare ones are elsewhere.
  const vocabulary = [...new Set(rows.flatMap((row) => row.text.match(/[\p{L}\p{N}]+/gu) ?? []))]
  return from.map((row, i) => {
    const own = random.fork('canary-ending', i)
    const beginning = clipWords(row.text, prefix)
    const ending = Array.from({ length: words - countWords(beginning) }, () => own.pick(vocabulary))
    const text = `${[beginning, ...ending].join(' ')}.`
    return { client: `pretext-canary-${i}`, text, ...(row.label === undefined ? {} : { label: row.label }) }
  })
}
