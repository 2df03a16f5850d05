#!/usr/bin/env node
// Makes clients.jsonl and heldout.jsonl out of Debian changelogs, where the client is the person who made a change. See
// README.md beside it.
//   node data/changes/build.mjs [--out DIR] [--full] [--count N] [--suite NAME] [--mirror URL] [--seed WORD]
//                               [--changelogs DIR]   changelogs that are there already: <package>.gz
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { openApt } from '../apt.mjs'
import { label, namesSomebody, stanzas } from '../debian/parse.mjs'
import { extract, splitClients } from '../debian/split.mjs'
import { authorKey, isSomebody, isText, items, maxSameOpening, templateKey, tidy } from './parse.mjs'

// A person runs this: the message is enough, and temporary folders are gone by then.
process.on('uncaughtException', (error) => {
  console.error(error.message)
  process.exit(1)
})

const { values: flags } = parseArgs({
  options: {
    out: { type: 'string', default: import.meta.dirname },
    full: { type: 'boolean', default: false },
    count: { type: 'string', default: '600' },
    suite: { type: 'string', default: 'bookworm' },
    mirror: { type: 'string' },
    seed: { type: 'string', default: 'pretext' },
    changelogs: { type: 'string' },
  },
})
if (flags.full && flags.out === import.meta.dirname) {
  console.error('expected --out DIR with --full: the folder of the command holds the committed extract')
  process.exit(2)
}

/** Larger packages take long to fetch. */
const largest = 1_500_000
/** Fetched by one call of apt. */
const together = 50

/** One package of each source, those first that most others depend on: many people have worked on them. */
function mostNeeded(index) {
  const packages = [...stanzas(index)].filter((fields) => fields.Package)
  const needed = new Map()
  for (const { Depends = '' } of packages) {
    const names = Depends.split(/[,|]/).map((part) => part.trim().split(/[ (:]/)[0])
    for (const name of new Set(names)) needed.set(name, (needed.get(name) ?? 0) + 1)
  }
  const uses = ({ Package }) => needed.get(Package) ?? 0
  const ordered = packages
    .filter((fields) => Number(fields.Size) <= largest)
    .sort((x, y) => uses(y) - uses(x) || (x.Package < y.Package ? -1 : 1))
  const sources = new Map()
  for (const fields of ordered) {
    const source = (fields.Source ?? fields.Package).split(' ')[0]
    if (!sources.has(source)) sources.set(source, fields)
  }
  return [...sources.values()]
}

function fetchChangelogs() {
  const folder = mkdtempSync(join(tmpdir(), 'pretext-changes-'))
  try {
    const apt = openApt({ folder, suite: flags.suite, ...(flags.mirror ? { mirror: flags.mirror } : {}) })
    const chosen = mostNeeded(readFileSync(apt.packages(), 'utf8'))
    const found = []
    for (const [i, fields] of chosen.entries()) {
      if (found.length >= Number(flags.count)) break
      if (i % together === 0) apt.download(chosen.slice(i, i + together).map(({ Package }) => Package))
      const { folder: unpacked } = apt.unpack(fields.Package)
      const doc = join(unpacked, 'usr/share/doc', fields.Package)
      const file = ['changelog.Debian.gz', 'changelog.gz'].map((name) => join(doc, name)).find(existsSync)
      if (file)
        found.push({
          name: fields.Package,
          label: label(fields.Section ?? 'misc'),
          text: gunzipSync(readFileSync(file)).toString('utf8'),
        })
      if (found.length % 50 === 0) console.log(`${found.length} changelogs`)
    }
    return found
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function readChangelogs(folder) {
  return readdirSync(folder)
    .sort()
    .map((name) => ({
      name: name.replace(/\.gz$/, ''),
      label: 'misc',
      text: gunzipSync(readFileSync(join(folder, name))).toString('utf8'),
    }))
}

const changelogs = flags.changelogs ? readChangelogs(flags.changelogs) : fetchChangelogs()
changelogs.sort((a, b) => (a.name < b.name ? -1 : 1))
const all = changelogs.flatMap(({ name, label: own, text }) =>
  [...items(text)].map((item) => ({ ...item, package: name, label: own })),
)
const names = new Set(all.map(({ author }) => authorKey(author)).filter((name) => name.includes(' ')))
const seen = new Set()
const openings = new Map()
const rows = []
for (const item of all) {
  const text = tidy(item.text)
  if (!isSomebody(item.author) || !isText(text) || namesSomebody(text, names)) continue
  const key = templateKey(text, item.package)
  const opening = key.split(' ').slice(0, 5).join(' ')
  const same = openings.get(opening) ?? 0
  if (seen.has(key) || same >= maxSameOpening) continue
  seen.add(key)
  openings.set(opening, same + 1)
  rows.push({ maintainer: authorKey(item.author), label: item.label, text })
}
console.log(
  `${changelogs.length} changelogs, sha256 ${createHash('sha256')
    .update(changelogs.map(({ name, text }) => `${name}\n${text}`).join('\n'))
    .digest('hex')}`,
)
const { training, heldOut } = splitClients(rows, flags.seed)
const limits = flags.full
  ? { training: Infinity, heldOut: Infinity, texts: Infinity }
  : { training: 400, heldOut: 80, texts: 4 }
mkdirSync(flags.out, { recursive: true })
for (const [name, clients, count] of [
  ['clients', training, limits.training],
  ['heldout', heldOut, limits.heldOut],
]) {
  const chosen = extract(clients, flags.seed, count, limits.texts)
  const lines = chosen.map((row) => `${JSON.stringify(row)}\n`).join('')
  writeFileSync(join(flags.out, `${name}.jsonl`), lines)
  console.log(
    `${name}.jsonl  ${chosen.length} texts of ${new Set(chosen.map((row) => row.client)).size} clients, sha256 ${createHash('sha256').update(lines).digest('hex')}`,
  )
}
