// From Debian changelogs to short English texts with the person who wrote each: entries, sections, items. Format: Debian Policy
// 4.4 (debian/changelog); "[ Name ]" lines are the custom of devscripts' dch.
import { templateKey } from '../debian/parse.mjs'

const minWords = 12
const maxWords = 80
/** At most this many texts may share their first five words (names and numbers masked). */
export const maxSameOpening = 4

const trailer = /^ -- (.+?) +<[^>]*> {1,2}\S/
const section = /^ {2}\[ (.+?) \]\s*$/
const item = /^ {2}[*+-] +(\S.*)$/
const more = /^ {3,}(\S.*)$/

/** The items of a changelog with their authors' names: the heading before an item, else whoever signed the entry. */
export function* items(changelog) {
  let entry = []
  let author
  let open
  for (const line of changelog.split('\n')) {
    const signed = trailer.exec(line)
    if (signed) {
      for (const one of entry) yield { author: one.author ?? signed[1], text: one.lines.join(' ') }
      entry = []
      author = undefined
      open = undefined
      continue
    }
    const heading = section.exec(line)
    const first = item.exec(line)
    const next = more.exec(line)
    if (heading) {
      author = heading[1]
      open = undefined
    } else if (first) {
      open = { author, lines: [first[1]] }
      entry.push(open)
    } else if (next && open && !/^[*+-] /.test(next[1])) {
      // A list inside of an item is left out, and the item goes on after it.
      open.lines.push(next[1])
    } else if (line.trim() === '') open = undefined
  }
}

/** White space, quotes, and numbers of bug reports. */
export function tidy(text) {
  return text
    .replace(/``|''|[“”]/g, '"')
    .replace(/[‘’`´]/g, "'")
    .replace(/\(\s*(closes|lp|see|fixes|re|cf\.?)?:?\s*((bug)?\s*#\s*\d+[,;\s]*(and\s*)?)+\s*\)/gi, ' ')
    .replace(/\b(closes|lp|fixes):\s*((bug)?#\s*\d+[,;\s]*)+/gi, ' ')
    .replace(/\s+/g, ' ')
    .replace(/\s+([.,;])/g, '$1')
    .trim()
}

const contact = /@|:\/\/|https?:|ftp:|www\.|\b[\w-]+\.(org|com|net|io|edu|gov|info|eu|de|uk|fr|ch|dev|me)\b/i
const thanks =
  /\b(thanks|thank you|credits?|patch (from|by)|reported by|suggested by|courtesy|based on (a|the) patch)\b/i
const letters = (text) => (text.match(/[A-Za-z ,.'-]/g) ?? []).length / text.length

/** Whether an item is a text: 12 to 80 words, mostly letters, without addresses, and without thanks to somebody. */
export function isText(text) {
  const words = text.split(/\s+/).length
  if (words < minWords || words > maxWords) return false
  return (
    /^["'(]?[A-Za-z0-9]/.test(text) &&
    letters(text) >= 0.9 &&
    !contact.test(text) &&
    !thanks.test(text) &&
    !/[{}<>|\\]|=>|->/.test(text)
  )
}

/** One key for a person's name, however it is written. */
export function authorKey(name) {
  return name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/\(.*?\)|["',]/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
}

/** Programs and teams that sign changelogs, and are nobody. */
export function isSomebody(name) {
  return (
    /\S\s+\S/.test(name) &&
    !/janitor|team|maintainers|group|builder|buildd|bot\b|script|autopkg|updates?\b/i.test(name)
  )
}

export { templateKey }
