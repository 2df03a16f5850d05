// Membership inference against a corpus: how much does it look as if a text had been among the private ones? Two attacks,
// both from "The Canary's Echo" (arXiv 2502.14921, section 4): the probability of the text under an n-gram model of the
// corpus, and its similarity to the nearest text of the corpus.
import type { Embedder } from '../embeddings/embedder.ts'
import { row } from '../embeddings/matrix.ts'

export const MEMBERSHIP_ATTACKS = {
  ngram: 'probability under a bigram model of the corpus',
  nearest: 'similarity to the nearest text of the corpus',
} as const

export type MembershipAttack = keyof typeof MEMBERSHIP_ATTACKS

/** Of each text by each attack: the higher, the more it looks like a member. */
export type Scores = Readonly<Record<MembershipAttack, readonly number[]>>

export async function membershipScores(
  texts: readonly string[],
  corpus: readonly string[],
  embedder: Embedder,
): Promise<Scores> {
  return { ngram: bigramScores(texts, corpus), nearest: await nearestScores(texts, corpus, embedder) }
}

const START = '\u0002'
const wordsOf = (text: string): string[] => [START, ...(text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])]
/** Weight of the word pair against the word alone. */
const PAIR_WEIGHT = 0.75

/** Mean log probability of a word, from pairs where they were seen and smoothed single words. */
export function bigramScores(texts: readonly string[], corpus: readonly string[]): number[] {
  const single = new Map<string, number>()
  const pairs = new Map<string, number>()
  const count = (map: Map<string, number>, key: string) => map.set(key, (map.get(key) ?? 0) + 1)
  let total = 0
  for (const words of corpus.map(wordsOf)) {
    words.forEach((word, i) => {
      count(single, word)
      if (i === 0) return
      total++
      count(pairs, `${words[i - 1]} ${word}`)
    })
  }
  const vocabulary = new Set([...single.keys(), ...texts.flatMap(wordsOf)]).size
  return texts.map((text) => {
    const words = wordsOf(text)
    let sum = 0
    for (let i = 1; i < words.length; i++) {
      const [before, word] = [words[i - 1] as string, words[i] as string]
      const alone = ((single.get(word) ?? 0) + 1) / (total + vocabulary)
      const after = single.get(before) ?? 0
      const paired = after === 0 ? alone : (pairs.get(`${before} ${word}`) ?? 0) / after
      sum += Math.log(PAIR_WEIGHT * paired + (1 - PAIR_WEIGHT) * alone)
    }
    return sum / Math.max(1, words.length - 1)
  })
}

async function nearestScores(
  texts: readonly string[],
  corpus: readonly string[],
  embedder: Embedder,
): Promise<number[]> {
  const own = await embedder.embed(texts)
  const theirs = await embedder.embed(corpus)
  return texts.map((_, i) => {
    const a = row(own, i)
    let best = Number.NEGATIVE_INFINITY
    for (let j = 0; j < theirs.rows; j++) {
      const b = row(theirs, j)
      let dot = 0
      for (let d = 0; d < a.length; d++) dot += (a[d] as number) * (b[d] as number)
      if (dot > best) best = dot
    }
    return best
  })
}
