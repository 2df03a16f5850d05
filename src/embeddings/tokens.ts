// Texts as token ids for an encoder model: cut to a length with the special tokens kept, and packed into batches.

export interface TextTokenizer {
  /** Token ids with the special tokens of the model. */
  encode(text: string): number[]
}

/** No token of a real text stands for more characters than this; what lies beyond is not even read. */
const CHARACTERS_PER_TOKEN = 64

/**
 * A function from text to at most `maxTokens` token ids. A longer text loses its end but keeps its closing special
 * tokens. The result is never empty: where a tokenizer gives nothing for a text, it is `emptyToken`.
 */
export function tokenEncoder(
  tokenizer: TextTokenizer,
  emptyToken: number,
): (text: string, maxTokens: number) => number[] {
  const empty = tokenizer.encode('')
  const probe = tokenizer.encode('a')
  let opening = 0
  while (opening < empty.length && empty[opening] === probe[opening]) opening++
  const closing = empty.slice(opening)
  return (text, maxTokens) => {
    const ids = tokenizer.encode(leading(text, maxTokens * CHARACTERS_PER_TOKEN))
    if (ids.length > maxTokens) return [...ids.slice(0, maxTokens - closing.length), ...closing]
    return ids.length === 0 ? [emptyToken] : ids
  }
}

/** The first characters of a text, not ending within a surrogate pair. */
function leading(text: string, characters: number): string {
  if (text.length <= characters) return text
  const last = text.charCodeAt(characters - 1)
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? characters - 1 : characters)
}

/** A padded batch of `rows.length` sequences, each as long as the longest of them. */
export interface TokenBatch {
  /** Positions of its rows in the list that was packed. */
  readonly rows: readonly number[]
  readonly length: number
}

/**
 * Packs sequences into batches, shortest first, so that little is padded: a batch holds at most `maxTokens` tokens with
 * padding (a single longer sequence is a batch of its own), and at most a twentieth of it is padding.
 */
export function packBatches(lengths: readonly number[], maxTokens: number): TokenBatch[] {
  const order = lengths
    .map((_, i) => i)
    .sort((a, b) => (lengths[a] as number) - (lengths[b] as number) || a - b)
  const batches: { rows: number[]; length: number; tokens: number }[] = []
  for (const index of order) {
    const length = lengths[index] as number
    const last = batches.at(-1)
    const padded = last === undefined ? 0 : (last.rows.length + 1) * length
    if (last !== undefined && padded <= maxTokens && last.tokens + length >= 0.95 * padded) {
      last.rows.push(index)
      last.length = length
      last.tokens += length
    } else {
      batches.push({ rows: [index], length, tokens: length })
    }
  }
  return batches
}

/**
 * The inputs of an encoder for sequences of different lengths: rows padded with 0 at the end, which the attention mask
 * hides (so any id serves as padding).
 */
export function padded(rows: readonly (readonly number[])[]): {
  readonly inputs: Readonly<Record<'input_ids' | 'attention_mask' | 'token_type_ids', BigInt64Array>>
  readonly shape: readonly [rows: number, tokens: number]
} {
  const tokens = Math.max(...rows.map((row) => row.length))
  const size = rows.length * tokens
  const inputs = {
    input_ids: new BigInt64Array(size),
    attention_mask: new BigInt64Array(size),
    token_type_ids: new BigInt64Array(size),
  }
  rows.forEach((row, i) => {
    row.forEach((id, j) => {
      inputs.input_ids[i * tokens + j] = BigInt(id)
      inputs.attention_mask[i * tokens + j] = 1n
    })
  })
  return { inputs, shape: [rows.length, tokens] }
}
