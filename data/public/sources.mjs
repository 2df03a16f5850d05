// Where the passages come from: Debian packages whose texts carry a plain licence. `cap` is the most passages taken of a source.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import {
  backticks,
  elements,
  htmlParagraphs,
  legend,
  percentEntries,
  screensaver,
  wordnet,
} from './parse.mjs'

const text = (path) => readFileSync(path, 'utf8')
const infoOf = (path) => {
  const file = join(dirname(path), 'info.ini')
  return existsSync(file) ? text(file) : ''
}

/** Sky cultures have a licence each: only those under CC BY-SA are taken. */
const sharedAlike = (path) => /^\s*license\s*=\s*CC BY-SA/im.test(infoOf(path))

/** Who wrote a sky culture, without addresses. */
const authorOf = (path) =>
  (/^\s*author\s*=\s*(.*)$/im.exec(infoOf(path))?.[1] ?? "Stellarium's team").replace(
    /\s*(<|email:|, \S+\/).*$/,
    '',
  )

export const sources = [
  {
    source: 'wordnet',
    what: 'definitions with example sentences',
    packages: ['wordnet-base'],
    licence: 'WordNet 3.0 licence',
    holder: 'Princeton University',
    cap: 1100,
    files: /usr\/share\/wordnet\/data\.(noun|verb|adj|adv)$/,
    read: (path) => wordnet(text(path)),
  },
  {
    source: 'endless-sky',
    what: 'stories and descriptions of places of a space game',
    packages: ['endless-sky-data'],
    licence: 'GPL-3.0-or-later',
    holder: 'Michael Zahniser and the Endless Sky contributors',
    cap: 1100,
    files:
      /endless-sky\/data\/(?!(names|help|tooltips|interfaces|deprecated|hails|commodities|outfits|effects)\b)[^/]*\.txt$/,
    read: (path) => backticks(text(path)),
  },
  {
    source: 'freeciv',
    what: 'short histories of nations',
    packages: ['freeciv-data'],
    licence: 'GPL-2.0-or-later',
    holder: 'The Freeciv project',
    cap: 450,
    files: /freeciv\/nation\/[^/]*\.ruleset$/,
    read: (path) => legend(text(path)),
  },
  {
    source: 'stellarium',
    what: 'how cultures see the sky',
    packages: ['stellarium-data'],
    licence: 'CC BY-SA (per culture, see ATTRIBUTION.md)',
    holder: 'see ATTRIBUTION.md',
    cap: 400,
    files: /skycultures\/[^/]*\/description\.en\.utf8$/,
    only: sharedAlike,
    credit: (path) => ({
      part: dirname(path).split('/').at(-1),
      holder: authorOf(path),
      licence: /^\s*license\s*=\s*(.*)$/im.exec(infoOf(path))[1].trim(),
    }),
    read: (path) => htmlParagraphs(text(path)),
  },
  {
    source: 'gnome-help',
    what: 'everyday use of a computer',
    packages: ['gnome-user-docs'],
    licence: 'CC BY-SA 3.0',
    holder: 'Shaun McCance and the GNOME documentation project',
    cap: 250,
    files: /help\/C\/gnome-help\/[^/]*\.page$/,
    read: (path) => htmlParagraphs(text(path)),
  },
  {
    source: 'crawl',
    what: 'descriptions of creatures and things of a fantasy game',
    packages: ['crawl-common'],
    licence: 'GPL-2.0-or-later',
    holder: 'Linley Henzell and the Dungeon Crawl Stone Soup team',
    cap: 250,
    files: /dat\/descript\/(monsters|items|unrand|spells|species|features|branches|backgrounds)\.txt$/,
    read: (path) => percentEntries(text(path)),
  },
  {
    source: 'xscreensaver',
    what: 'what moving pictures show',
    packages: ['xscreensaver-data', 'xscreensaver-data-extra', 'xscreensaver-gl', 'xscreensaver-gl-extra'],
    licence: 'XScreenSaver licence (permissive)',
    holder: 'Jamie Zawinski and the authors of the modules',
    cap: 250,
    files: /xscreensaver\/config\/[^/]*\.xml$/,
    read: (path) => screensaver(text(path)),
  },
  {
    source: 'elements',
    what: 'the chemical elements',
    packages: ['dict-elements'],
    licence: 'public domain',
    holder: 'Jay Kominek',
    cap: 120,
    files: /dictd\/elements\.dict\.dz$/,
    read: (path) => elements(gunzipSync(readFileSync(path)).toString('utf8')),
  },
]
