#!/usr/bin/env node
// Makes texts.jsonl, passages of general English with a licence each, out of Debian packages. See README.md beside it.
//   node data/public/build.mjs [--out DIR] [--suite NAME] [--mirror URL] [--seed WORD] [--unpacked DIR]
// --unpacked names a folder that has the packages unpacked already, one folder each.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openApt } from '../apt.mjs'
import { shuffle } from '../rank.mjs'
import { table } from '../table.mjs'
import { isPassage, passages } from './parse.mjs'
import { sources } from './sources.mjs'

// A person runs this: the message is enough, and temporary folders are gone by then.
process.on('uncaughtException', (error) => {
  console.error(error.message)
  process.exit(1)
})

const { values: flags } = parseArgs({
  options: {
    out: { type: 'string', default: import.meta.dirname },
    suite: { type: 'string', default: 'bookworm' },
    mirror: { type: 'string' },
    seed: { type: 'string', default: 'pretext' },
    unpacked: { type: 'string' },
  },
})

const filesBelow = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()

/** All passages of one source, in the order of its files. */
function collect(source, folders) {
  const files = folders
    .flatMap(filesBelow)
    .filter((path) => source.files.test(path) && (source.only?.(path) ?? true))
  if (files.length === 0)
    throw new Error(`expected files of ${source.packages.join(', ')} that match ${source.files}, found none`)
  const texts = files.flatMap(source.read).flatMap(passages).filter(isPassage)
  return { texts, credits: source.credit ? files.map(source.credit) : [] }
}

function build(unpack) {
  const rows = []
  const credits = []
  const seen = new Set()
  for (const source of sources) {
    const found = collect(source, source.packages.map(unpack))
    const fresh = found.texts.filter((text) => {
      const key = text.toLowerCase().replace(/[^a-z]+/g, ' ')
      return !seen.has(key) && seen.add(key)
    })
    const chosen = shuffle(fresh, flags.seed, 'passage').slice(0, source.cap)
    rows.push(...chosen.map((text) => ({ text, source: source.source })))
    const parts = found.credits.map((one) => [`${source.source}: ${one.part}`, one.licence, one.holder])
    credits.push(...(parts.length > 0 ? parts : [[source.source, source.licence, source.holder]]))
    console.log(`${source.source}: ${chosen.length} of ${fresh.length} passages`)
  }
  return { rows: shuffle(rows, flags.seed, 'row', (row) => row.text), credits }
}

const own = mkdtempSync(join(tmpdir(), 'pretext-public-'))
try {
  const open = () =>
    openApt({ folder: own, suite: flags.suite, ...(flags.mirror ? { mirror: flags.mirror } : {}) })
  const apt = flags.unpacked ? undefined : open()
  const { rows, credits } = build((name) => {
    if (!apt) {
      const folder = join(flags.unpacked, name)
      if (!existsSync(folder))
        throw new Error(`expected the package ${name} unpacked in ${folder}, found none`)
      return folder
    }
    const { folder, version } = apt.unpack(name)
    console.log(`${name} ${version}`)
    return folder
  })
  mkdirSync(flags.out, { recursive: true })
  const lines = rows.map((row) => `${JSON.stringify(row)}\n`).join('')
  writeFileSync(join(flags.out, 'texts.jsonl'), lines)
  const title = '# Who wrote the passages, and their licences'
  writeFileSync(
    join(flags.out, 'ATTRIBUTION.md'),
    `${title}\n\n${table(['source', 'licence', 'by'], credits)}\n`,
  )
  console.log(
    `texts.jsonl  ${rows.length} passages, ${Buffer.byteLength(lines)} bytes, sha256 ${createHash('sha256').update(lines).digest('hex')}`,
  )
} finally {
  rmSync(own, { recursive: true, force: true })
}
