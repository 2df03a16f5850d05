#!/usr/bin/env node
// Makes clients.jsonl and heldout.jsonl, texts with real client ids, out of Debian's package index. See README.md beside it.
//   node data/debian/build.mjs [--out DIR] [--full] [--suite NAME] [--mirror URL] [--seed WORD]
//                              [--packages FILE --translation FILE]   an index that is already there
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openApt } from '../apt.mjs'
import { collect, extract, splitClients } from './split.mjs'

// A person runs this: the message is enough, and temporary folders are gone by then.
process.on('uncaughtException', (error) => {
  console.error(error.message)
  process.exit(1)
})

const { values: flags } = parseArgs({
  options: {
    out: { type: 'string', default: import.meta.dirname },
    full: { type: 'boolean', default: false },
    suite: { type: 'string', default: 'bookworm' },
    mirror: { type: 'string' },
    seed: { type: 'string', default: 'pretext' },
    packages: { type: 'string' },
    translation: { type: 'string' },
  },
})
if (flags.full && flags.out === import.meta.dirname) {
  console.error('expected --out DIR with --full: the folder of the command holds the committed extract')
  process.exit(2)
}
if (Boolean(flags.packages) !== Boolean(flags.translation)) {
  console.error('expected --packages and --translation together')
  process.exit(2)
}

const sha256 = (text) => createHash('sha256').update(text).digest('hex')

function readIndex() {
  if (flags.packages)
    return {
      packages: readFileSync(flags.packages, 'utf8'),
      translation: readFileSync(flags.translation, 'utf8'),
    }
  const folder = mkdtempSync(join(tmpdir(), 'pretext-debian-'))
  try {
    const apt = openApt({ folder, suite: flags.suite, ...(flags.mirror ? { mirror: flags.mirror } : {}) })
    const release = readFileSync(apt.release(), 'utf8')
    console.log(`index of ${flags.suite} dated ${/^Date: (.*)$/m.exec(release)?.[1] ?? 'unknown'}`)
    return {
      packages: readFileSync(apt.packages(), 'utf8'),
      translation: readFileSync(apt.translation(), 'utf8'),
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const index = readIndex()
console.log(
  `Packages       sha256 ${sha256(index.packages)}\nTranslation-en sha256 ${sha256(index.translation)}`,
)
const { training, heldOut } = splitClients(collect(index.packages, index.translation), flags.seed)
const limits = flags.full
  ? { training: Infinity, heldOut: Infinity, texts: Infinity }
  : { training: 1000, heldOut: 160, texts: 8 }
mkdirSync(flags.out, { recursive: true })
for (const [name, clients, count] of [
  ['clients', training, limits.training],
  ['heldout', heldOut, limits.heldOut],
]) {
  const rows = extract(clients, flags.seed, count, limits.texts)
  const lines = rows.map((row) => `${JSON.stringify(row)}\n`).join('')
  writeFileSync(join(flags.out, `${name}.jsonl`), lines)
  console.log(
    `${name}.jsonl  ${rows.length} texts of ${new Set(rows.map((row) => row.client)).size} clients, sha256 ${sha256(lines)}`,
  )
}
