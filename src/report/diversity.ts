// How varied a set of synthetic texts is. A sampler's cut-offs feed back through the rounds, so this is tracked and
// warned about in every round.
import type { Diversity } from './data.ts'

function words(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []
}

function distinct(texts: readonly string[][], n: number): number {
  const seen = new Set<string>()
  let all = 0
  for (const tokens of texts) {
    for (let i = 0; i + n <= tokens.length; i++) {
      seen.add(tokens.slice(i, i + n).join(' '))
      all++
    }
  }
  return all === 0 ? 1 : seen.size / all
}

export function diversity(texts: readonly string[]): Diversity {
  const tokens = texts.map(words)
  const openings = new Map<string, number>()
  for (const t of tokens) {
    const opening = t.slice(0, 2).join(' ')
    openings.set(opening, (openings.get(opening) ?? 0) + 1)
  }
  const [commonOpening, count] = [...openings].sort((a, b) => b[1] - a[1])[0] ?? ['', 0]
  return {
    distinct1: distinct(tokens, 1),
    distinct2: distinct(tokens, 2),
    equalOpenings: texts.length === 0 ? 0 : count / texts.length,
    commonOpening,
  }
}

/** Above this share of equal openings a population is called narrow (private package descriptions: 4%). */
const NARROW = 0.25

/** What to tell the user about a population, if anything. */
export function diversityWarning(of: Diversity, texts: number, where: string): string | undefined {
  if (texts < 20 || of.equalOpenings < NARROW) return undefined
  return `${(100 * of.equalOpenings).toFixed(0)}% of the texts ${where} begin with "${of.commonOpening}": the sampler is too narrow; raise topP or temperature, lower minP`
}
