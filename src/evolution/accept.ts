// From what an LLM wrote to a text, or to the reason why not. The same rules for variations and for the corpus.
import { clipWords, countWords } from '../texts/words.ts'

export interface AcceptOptions {
  readonly minWords: number
  readonly maxWords: number
}

export type Rejection = 'empty' | 'short' | 'refusal' | 'echo' | 'unfinished' | 'duplicate'

export type Accepted = { readonly text: string } | { readonly rejected: Rejection }

const SPECIAL_TOKENS = /<\|[^|<>]{1,40}\|>|<\/?s>|\[\/?INST\]|<pad>|<unk>|<mask>/g
const CHATTER =
  /^(?:(?:(?:sure|certainly|of course|okay|ok|absolutely)\b[^.!:\n]{0,80}[.!:]|here(?:'s| is| are)\b[^.:\n]{0,80}:)\s*)+/i
const NUMBERING = /^(?:original text sample\s*\d*|(?:text )?sample\s+\d+)\s*[:.)-]?\s*/i
const REFUSAL =
  /\b(?:i(?:'m| am) (?:sorry|unable|not able)|i (?:can(?:no|')t|am an ai)|as an? (?:ai|language model|assistant)|i (?:cannot|can't) (?:assist|help|provide|fulfil))/i

/** For duplicates and echoes: case, punctuation and spacing do not make a text another one. */
export function normalisedText(text: string): string {
  return (text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).join(' ')
}

/**
 * Takes special tokens, chatter, numbering and quotes off, joins lines, and clips at `maxWords` or, where the model was
 * cut off, at the last whole sentence. `sources` are the texts in the prompt: repeating one of them is an echo.
 */
export function accept(
  raw: string,
  finish: 'stop' | 'length' | 'filtered',
  sources: readonly string[],
  options: AcceptOptions,
): Accepted {
  let text = raw.replace(SPECIAL_TOKENS, ' ').replace(/\s+/g, ' ').trim()
  text = text.replace(CHATTER, '').replace(NUMBERING, '').trim()
  text = text.replace(/^(["“'`*])(.*)(["”'`*])$/u, '$2').trim()
  if (text === '') return { rejected: finish === 'filtered' ? 'refusal' : 'empty' }
  if (REFUSAL.test(text.slice(0, 160))) return { rejected: 'refusal' }
  const long = countWords(text) > options.maxWords
  if (long) text = clipWords(text, options.maxWords)
  if (long || finish === 'length') {
    const end = lastSentenceEnd(text)
    if (end === 0) return { rejected: 'unfinished' }
    text = text.slice(0, end)
  }
  // What announces something that does not come.
  if (text.endsWith(':')) return { rejected: 'unfinished' }
  if (countWords(text) < options.minWords) return { rejected: 'short' }
  const own = normalisedText(text)
  if (sources.some((source) => normalisedText(source) === own)) return { rejected: 'echo' }
  return { text }
}

/** Position after the last `.`, `!` or `?` that ends a word, or 0. */
function lastSentenceEnd(text: string): number {
  let end = 0
  for (const match of text.matchAll(/[\p{L}\p{N})"'”][.!?]+["'”)]?(?=\s|$)/gu))
    end = match.index + match[0].length
  return end
}
