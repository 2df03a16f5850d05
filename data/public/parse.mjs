// From documents of several formats to passages: 15 to 60 words of modern English prose.

const minWords = 15
const maxWords = 60

const sentences = new Intl.Segmenter('en', { granularity: 'sentence' })
const entities = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: ' ',
  ndash: '-',
  mdash: '-',
  deg: ' degrees',
}

export const wordCount = (text) => text.split(/\s+/).length

/** Straight quotes and dashes, single spaces. */
function tidy(text) {
  return text
    .replace(/[“”]|``|''/g, '"')
    .replace(/[‘’`]/g, "'")
    .replace(/\s*[–—]\s*/g, ' - ')
    .replace(/\s+/g, ' ')
    .trim()
}

/** Plain text of one piece of HTML or XML. */
export function plain(markup) {
  const text = markup
    .replace(/<!--.*?-->/gs, '')
    .replace(/<(sup|sub|table|pre|code|cmd|media)\b.*?<\/\1>/gs, ' ')
    .replace(/<[^>]*>/g, '')
  return tidy(
    text.replace(/&(#(\d+)|[a-z]+);/g, (all, name, code) =>
      code ? String.fromCodePoint(Number(code)) : (entities[name] ?? all),
    ),
  )
}

/** A paragraph as passages: whole if it fits, else packed sentence by sentence. */
export function passages(paragraph) {
  if (wordCount(paragraph) <= maxWords) return [paragraph]
  const packed = []
  for (const { segment } of sentences.segment(paragraph)) {
    const sentence = segment.trim()
    const last = packed.at(-1)
    if (last !== undefined && wordCount(last) + wordCount(sentence) <= maxWords)
      packed[packed.length - 1] = `${last} ${sentence}`
    else packed.push(sentence)
  }
  return packed
}

const address = /@|https?:|ftp:|www\.|\b[\w-]+\.(org|com|net|io|edu|gov|info)\b/i
const placeholder = /[{}<>[\]|\\$%_=*#~^]/
/** Words that a public example set can do without; a passage that has one is left out, whatever it says about it. */
const unwanted =
  /\b(sex\w*|rap(e|ed|es|ist)|slut\w*|whor\w+|bitch\w*|fuck\w*|shit\w*|ass|arse|damn\w*|piss\w*|nazi\w*|nigg\w+|fag\w*|slur|coitus|penis\w*|vagin\w*|genital\w*|prostitut\w*|porn\w*|suicid\w*|genocid\w*|tortur\w*|offensive|disparag\w*|derogat\w*|obscen\w*|vulgar\w*|homosexual\w*|negro\w*|slav(e|es|ery)|massacr\w*|obes\w*|incest\w*|bugger\w*|ethnic cleansing)\b/i

/** Whether a passage is prose of 15 to 60 words: full sentences, letters mostly, closed quotes, no addresses or placeholders. */
export function isPassage(text) {
  const words = wordCount(text)
  if (words < minWords || words > maxWords) return false
  if (!/^["']?[A-Z]/.test(text) || !/[.!?]["')]*$/.test(text)) return false
  if (/(?!\p{Script=Latin})\p{L}/u.test(text)) return false
  if (address.test(text) || placeholder.test(text) || unwanted.test(text)) return false
  const letters = (text.match(/[A-Za-z ,.'"-]/g) ?? []).length
  const closed =
    (text.match(/"/g) ?? []).length % 2 === 0 &&
    (text.match(/\(/g) ?? []).length === (text.match(/\)/g) ?? []).length
  return closed && letters / text.length >= 0.95
}

/** WordNet's data files (wndb(5WN)): "word: definition. Example." of each synset. */
export function wordnet(file) {
  return file.split('\n').flatMap((line) => {
    const found = /^\d{8} \d\d [nvasr] [0-9a-f]{2} (\S+) .* \| (.*)$/.exec(line)
    if (!found) return []
    const word = found[1].replace(/\([a-z]+\)$/, '').replaceAll('_', ' ')
    const examples = [...found[2].matchAll(/"([^"]+)"/g)].map((example) => example[1])
    const definition = found[2]
      .replace(/;?\s*"[^"]*"( *- *[^;]*)?/g, '')
      .replace(/\s+/g, ' ')
      .trim()
      .replace(/[;:,.]$/, '')
    // An attribution after an example ("- Shakespeare") marks a quotation: others' sentences are left out.
    if (/" *-/.test(found[2])) return []
    return [[`${word}: ${definition}`, ...examples].map((part) => sentence(part)).join(' ')]
  })
}

const sentence = (part) => {
  const text = part.trim()
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`
}

/** Texts in backticks (Endless Sky's data files); a leading tab indents, "(" opens a choice of the player. */
export function backticks(file) {
  return [...file.matchAll(/^\t+(?:description |spaceport )?`(?!\t?\()\t?([^`]+)`/gm)].map((found) =>
    tidy(found[1]),
  )
}

/** The legend, a short history, of one of Freeciv's nations. */
export function legend(file) {
  const found = /^legend\s*=\s*_\("((?:[^"\\]|\\.)*)"\)/ms.exec(file)
  return found ? [found[1].replace(/\\\n/g, '').replace(/\\"/g, '"').replace(/\s+/g, ' ').trim()] : []
}

/** Entries between lines of %%%% (Crawl's descriptions): a key, then paragraphs. */
export function percentEntries(file) {
  return file.split(/^%%%%$/m).flatMap((entry) => {
    const lines = entry.split('\n').filter((line) => !line.startsWith('#'))
    const [, ...blocks] = lines
      .join('\n')
      .trim()
      .split(/\n\s*\n/)
    return blocks.map((block) => block.replace(/\s+/g, ' ').trim())
  })
}

/** The paragraphs (<p>) of an HTML or Mallard page; one that is not closed ends where the next tag of a block begins. */
export function htmlParagraphs(file) {
  return [...file.matchAll(/<p\b[^>]*>(.*?)(?=<\/p>|<p\b|<h\d|<ul|<ol|<\/?section|<table|$)/gs)].map(
    (found) => plain(found[1]),
  )
}

/** The description of an XScreenSaver module, without its addresses, its "Written by" and paragraphs that quote others. */
export function screensaver(file) {
  const found = /<_description>(.*?)<\/_description>/s.exec(file)
  if (!found) return []
  return found[1]
    .split(/\n\s*\n/)
    .map((block) => plain(block.replace(/^\s*https?:.*$/gm, '')))
    .filter((text) => !/^Written by|"/.test(text))
}

/** The entries of the Elements dictionary: what follows the weight. */
export function elements(file) {
  return [...file.matchAll(/^Atomic weight:.*\n((?:.+\n)+)/gm)].map((found) => plain(found[1]))
}
