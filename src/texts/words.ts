// What a word is, for everyone: a run of characters without white space (JavaScript's \s). Scripts that put no space
// between words count a whole sentence as one word: bound those with maxChars.

export interface TextLimits {
  /** Texts with fewer words are left out; at least 1, so that blank texts always are. */
  readonly minWords?: number | undefined
  /** Longer texts are clipped to this many words. */
  readonly maxWords?: number | undefined
  /** Longer texts are clipped to the last whole word within this many characters (UTF-16 code units). */
  readonly maxChars?: number | undefined
}

function isSpace(code: number): boolean {
  if (code === 32 || (code >= 9 && code <= 13)) return true
  if (code < 0xa0) return false
  return (
    code === 0xa0 ||
    code === 0x1680 ||
    (code >= 0x2000 && code <= 0x200a) ||
    code === 0x2028 ||
    code === 0x2029 ||
    code === 0x202f ||
    code === 0x205f ||
    code === 0x3000 ||
    code === 0xfeff
  )
}

/** Walks at most `max` words: how many there are, and where the last of them ends. */
function walk(text: string, max: number): { words: number; end: number } {
  let words = 0
  let inWord = false
  let end = 0
  for (let i = 0; i < text.length; i++) {
    if (isSpace(text.charCodeAt(i))) {
      if (inWord && words === max) return { words, end: i }
      inWord = false
    } else {
      if (!inWord) words++
      inWord = true
      end = i + 1
    }
  }
  return { words, end }
}

export function countWords(text: string): number {
  return walk(text, Number.POSITIVE_INFINITY).words
}

/** The text up to the end of its word number `maxWords`; the text itself where it has no more words than that. */
export function clipWords(text: string, maxWords: number): string {
  if (maxWords < 1) return ''
  return text.slice(0, walk(text, maxWords).end)
}

/**
 * The text up to the last whole word within `maxChars`. Where the first word alone is longer, that word is cut, but
 * never inside a surrogate pair.
 */
export function clipChars(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text
  if (isSpace(text.charCodeAt(maxChars))) return text.slice(0, maxChars).trimEnd()
  for (let end = maxChars; end > 0; end--) {
    if (isSpace(text.charCodeAt(end - 1))) {
      const clipped = text.slice(0, end).trimEnd()
      if (clipped !== '') return clipped
      break
    }
  }
  const last = text.charCodeAt(maxChars - 1)
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? maxChars - 1 : maxChars)
}

export interface LimitedText {
  /** Trimmed and within the limits; undefined where the text has fewer than `minWords` words. */
  readonly text: string | undefined
  readonly clipped: boolean
}

/** Applies the limits: trim, leave out what is too short, clip what is too long. */
export function limitText(raw: string, limits: TextLimits): LimitedText {
  const whole = raw.trim()
  const minWords = Math.max(1, limits.minWords ?? 1)
  if (walk(whole, minWords).words < minWords) return { text: undefined, clipped: false }
  let text = whole
  if (limits.maxWords !== undefined) text = clipWords(text, limits.maxWords)
  if (limits.maxChars !== undefined) text = clipChars(text, limits.maxChars)
  return { text: text === '' ? undefined : text, clipped: text !== whole }
}

/** minWords in words, for errors. */
export function atLeastWords(minWords = 1): string {
  return minWords > 1 ? `at least ${minWords} words` : 'at least one word'
}
