// A lexical embedder: signed feature hashing (Weinberger et al., arXiv 0902.2206) of words, word pairs and character
// trigrams. It needs no model, is the same on every machine and treats each text alone; but it knows spellings and not
// meanings: "car" and "automobile" are strangers to it. For tests, dry runs and for seeing what a neural embedder adds.
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import type { Embedder } from './embedder.ts'
import { type Matrix, matrix, row } from './matrix.ts'
import { normaliseInto } from './pooling.ts'

export interface HashingEmbedderOptions {
  /** Length of an embedding; default 512. Fewer collide more. */
  readonly dim?: number
}

const MINIMUM_DIM = 256
/** Changes whenever the features do: it is what the identity's hash is made from. */
const FEATURES = 'pretext hashing v1: words, word pairs, character trigrams; FNV-1a; sublinear counts'
/** Weight of one feature of each kind, before its count. */
const WEIGHTS = { word: 1, pair: 0.5, trigram: 0.5 } as const

export function createHashingEmbedder(options: HashingEmbedderOptions = {}): Embedder {
  const { dim = 512 } = options
  if (!Number.isInteger(dim) || dim < MINIMUM_DIM) {
    throw new RangeError(`expected dim to be an integer of at least ${MINIMUM_DIM}, got ${dim}`)
  }
  return {
    identity: {
      kind: 'hashing',
      model: 'hashing',
      sha256: bytesToHex(sha256(utf8ToBytes(`${FEATURES}; dim ${dim}`))),
      dtype: 'fp32',
      pooling: 'signed sum',
      normalised: true,
      dim,
    },
    device: { name: 'cpu', why: 'hashing needs no other' },
    parallel: 1,
    async embed(texts, { signal } = {}): Promise<Matrix> {
      const out = matrix(texts.length, dim)
      texts.forEach((text, i) => {
        if (i % 256 === 0) signal?.throwIfAborted()
        normaliseInto(hashedFeatures(text, dim), row(out, i))
      })
      return out
    },
    async dispose() {},
  }
}

function hashedFeatures(text: string, dim: number): Float64Array {
  const vector = new Float64Array(dim)
  for (const [feature, { weight, count }] of countFeatures(text)) {
    const hash = fnv1a(feature)
    // The top bit is the sign and the rest the place, so that the two are independent.
    const place = (hash & 0x7fffffff) % dim
    const value = weight * (1 + Math.log(count))
    vector[place] = (vector[place] as number) + (hash >>> 31 === 1 ? -value : value)
  }
  return vector
}

function countFeatures(text: string): Map<string, { readonly weight: number; count: number }> {
  const features = new Map<string, { readonly weight: number; count: number }>()
  const add = (kind: keyof typeof WEIGHTS, value: string): void => {
    const feature = `${kind} ${value}`
    const known = features.get(feature)
    if (known === undefined) features.set(feature, { weight: WEIGHTS[kind], count: 1 })
    else known.count++
  }
  const words =
    text
      .normalize('NFKC')
      .toLowerCase()
      .match(/[\p{L}\p{M}\p{N}]+|[^\s\p{L}\p{M}\p{N}]/gu) ?? []
  for (const word of words) add('word', word)
  for (let i = 1; i < words.length; i++) add('pair', `${words[i - 1]} ${words[i]}`)
  // Trigrams run over word boundaries; the marks at both ends give the empty text a feature of its own.
  const characters = [...`^${words.join(' ')}$`]
  for (let i = 0; i < Math.max(1, characters.length - 2); i++) {
    add('trigram', characters.slice(i, i + 3).join(''))
  }
  return features
}

/** 32-bit FNV-1a over UTF-16 code units, with a final mix, since its low bits alone are weak. */
function fnv1a(value: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < value.length; i++) {
    hash = Math.imul(hash ^ value.charCodeAt(i), 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
