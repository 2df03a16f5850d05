// From Debian's package index to short English texts: stanzas, paragraphs of prose, and what counts as boilerplate.
// Formats: Debian Policy 5.1 (control files), 5.6.13 (long descriptions).

const minWords = 15
const maxWords = 120
/** At most this many texts may share their first eight words (names and numbers masked). */
export const maxSameOpening = 3

/** The fields of each stanza of a control file; continuation lines are kept with their newlines. */
export function* stanzas(control) {
  for (const block of control.split(/\n{2,}/)) {
    const fields = {}
    let name
    for (const line of block.split('\n')) {
      const field = /^([A-Za-z0-9-]+):\s?(.*)$/.exec(line)
      if (field) {
        name = field[1]
        fields[name] = field[2]
      } else if (name && /^[ \t]/.test(line)) fields[name] += `\n${line}`
    }
    if (name) yield fields
  }
}

const listOrVerbatim = /^(\s{2,}\S|\t| [-*+•·o~] ?\S?.*| \(?\d{1,2}[.)] )/
const isItem = (line) => listOrVerbatim.test(line) && !/^ o\w/.test(line)
const endsSentence = /[.!?]["')\]]*$/

/** Cuts what follows the last full sentence: a lead-in ("It offers:") says nothing without its list. */
function fullSentences(text) {
  if (endsSentence.test(text)) return text
  const last = /^(.*[a-z0-9)\]"'][.!?]["')\]]*)\s+[A-Z(].*$/.exec(text)
  return last ? last[1] : ''
}

/** The prose paragraphs of a long description: without its synopsis, list items, verbatim lines and markup. */
export function paragraphs(description) {
  const blocks = [[]]
  for (const line of description.split('\n').slice(1)) {
    if (/^ \.\s*$/.test(line)) blocks.push([])
    else blocks.at(-1).push(line)
  }
  return blocks
    .map((lines) => {
      const item = lines.findIndex(isItem)
      const prose = item < 0 ? lines : lines.slice(0, item)
      const plain = prose
        .join(' ')
        .replace(/``|''|[“”]/g, '"')
        .replace(/[‘’`´]/g, "'")
        .replace(/\*\*|__/g, '')
      return fullSentences(plain.replace(/\s+/g, ' ').trim())
    })
    .filter((text) => text !== '')
}

const wordCount = (text) => text.split(/\s+/).length

const contact = /@|:\/\/|https?:|ftp:|www\.|\b[\w-]+\.(org|com|net|io|edu|gov|info|eu|de|uk|fr|ch|dev|me)\b/i
const letters = (text) => (text.match(/[A-Za-z ,.'-]/g) ?? []).length / text.length

/** Whether a paragraph is a text: prose of 15 to 120 words without addresses. */
export function isText(text) {
  const words = wordCount(text)
  if (words < minWords || words > maxWords) return false
  return (
    /^["'(]?[A-Za-z0-9]/.test(text) &&
    letters(text) >= 0.92 &&
    !contact.test(text) &&
    !/[{}<>|\\]|=>|->/.test(text)
  )
}

const fileKinds =
  /\b(sources?|headers?|development|static|shared|runtime|dynamic|librar(y|ies)|documentation|manuals?|man ?pages?|examples?|debug(ging)?|symbols|locali[sz]ations?|translations?|language|introspection|bindings?|typelibs?|data files|plug-?ins?|modules?|dictionar(y|ies)|common files|architecture.independent)\b/i
const packagingOnly = [
  /^(this|the \S+)( \S+)? (meta-?)?package (is|depends|recommends|pulls|can be used by)\b/i,
  /^this (is a|is an|is the)( \S+){0,3} ((meta|dummy|virtual|empty|transitional)-?\s?)package/i,
  /^this (is a|is an) (dependency|transitional|dummy|empty|virtual|meta) ?package/i,
  /^(this|the) (\S+ )?(metapackage|task|task package|dependency package)\b/i,
  /^(install|you (only )?need|if you (want|need)) .{0,60}\bpackage\b/i,
]

/**
 * Whether a paragraph speaks of packaging only: it opens by saying that the package is, depends on or belongs to others, or it is at
 * most 40 words, opens "This package contains|provides|includes|..." and names a kind of file.
 */
export function isBoilerplate(text) {
  if (packagingOnly.some((pattern) => pattern.test(text))) return true
  const opens =
    /^(this|the \S+)( \S+){0,2} package,? ?(contains|provides|includes|ships|installs|holds|adds|brings|enables|gives)\b/i
  return opens.test(text) && wordCount(text) <= 40 && fileKinds.test(text.slice(0, 200))
}

/** The text with the package's own names and all numbers masked: texts with equal keys are one text. */
export function templateKey(text, packageName, sourceName = packageName) {
  const own = new Set(
    `${packageName}-${sourceName}`
      .toLowerCase()
      .split(/[^a-z]+/)
      .filter((part) => part.length > 2),
  )
  const tokens = text
    .toLowerCase()
    .split(/\s+/)
    .map((token) => {
      const plain = token.replace(/[^a-z0-9]/g, '')
      if (/\d/.test(plain) || own.has(plain) || token.includes(packageName)) return '_'
      return plain
    })
  return tokens
    .filter((token) => token !== '')
    .join(' ')
    .replace(/_( _)+/g, '_')
}

/** The client's key: the maintainer's address (the name is spelt in several ways), else the whole field. */
export function maintainerKey(field) {
  return (/<([^>]+)>/.exec(field)?.[1] ?? field).trim().toLowerCase()
}

/** Full names (two words or more) in Maintainer and Uploaders fields. */
export function peopleIn(field) {
  return field
    .split(/>\s*,|\n/)
    .map((person) => person.replace(/<.*$/s, '').replace(/["',]/g, '').trim())
    .filter((name) => /\S\s+\S/.test(name))
}

/** Whether one of `names` (lower case, two to four words) stands in the text. */
export function namesSomebody(text, names) {
  const words = text
    .toLowerCase()
    .split(/[^\p{L}'.-]+/u)
    .map((word) => word.replace(/[.']+$/, '').replace(/'s$/, ''))
  for (let start = 0; start < words.length; start += 1)
    for (let length = 2; length <= 4; length += 1)
      if (names.has(words.slice(start, start + length).join(' '))) return true
  return false
}

/** The section without its area ("contrib/net" is "net"). */
export const label = (section) => section.replace(/^.*\//, '')
