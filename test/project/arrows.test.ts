// The house: which room may look into which, how large a file may be, and that every command has help and a page.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const SRC = join(ROOT, 'src')

function filesBelow(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    if (statSync(path).isDirectory()) return filesBelow(path)
    return path.endsWith('.ts') ? [path] : []
  })
}

const room = (path: string): string => relative(SRC, path).split('/').slice(0, -1)[0] ?? ''
const files = filesBelow(SRC)
const imports = files.flatMap((file) =>
  [
    ...readFileSync(file, 'utf8').matchAll(
      /(import type|import|export)\s[^'"]*?from '([^']+)'|import\('([^']+)'\)/g,
    ),
  ].map((match) => ({
    from: relative(SRC, file),
    fromRoom: room(file),
    typeOnly: match[1] === 'import type',
    target: match[2] ?? match[3] ?? '',
    toRoom: (match[2] ?? '').startsWith('.') ? room(resolve(dirname(file), match[2] ?? '')) : undefined,
  })),
)

// Rooms in the order of the data; each may look into those before it, and into the leaves.
const ORDER = [
  'texts',
  'embeddings',
  'histogram',
  'evolution',
  'generate',
  'finetune',
  'evaluate',
  'federation',
  'run',
  'audit',
  'batch',
  'compare',
  'cli',
]
const LEAVES = ['privacy', 'vdaf', 'llm', 'models', 'config', 'report']

describe('import arrows', () => {
  it('point one way along the data', () => {
    const wrong = imports.filter(({ fromRoom, toRoom, typeOnly }) => {
      if (toRoom === undefined || fromRoom === toRoom || toRoom === '' || fromRoom === '') return false
      // The shape of what a report says is shared as types; nothing runs backwards.
      if (toRoom === 'report' && typeOnly) return false
      if (LEAVES.includes(fromRoom)) {
        return !(
          LEAVES.includes(toRoom) ||
          (typeOnly && ORDER.indexOf(toRoom) < ORDER.indexOf('evaluate')) ||
          toRoom === 'texts'
        )
      }
      if (LEAVES.includes(toRoom))
        return toRoom === 'config' && ORDER.indexOf(fromRoom) < ORDER.indexOf('run') && !typeOnly
      return ORDER.indexOf(toRoom) > ORDER.indexOf(fromRoom)
    })
    expect(wrong.map(({ from, target }) => `${from} -> ${target}`)).toEqual([])
  })

  it('nothing imports the command line, and every room is known', () => {
    expect(imports.filter(({ fromRoom, toRoom }) => toRoom === 'cli' && fromRoom !== 'cli')).toEqual([])
    const rooms = readdirSync(SRC).filter((name) => statSync(join(SRC, name)).isDirectory())
    expect(rooms.filter((name) => !ORDER.includes(name) && !LEAVES.includes(name))).toEqual([])
  })

  it('private texts reach texts, embedders, histogram, reporting of consented ones, and nothing else', () => {
    const readers = imports.filter(({ target }) =>
      /texts\/(private-texts|read|columns|disjoint)\.ts$/.test(target),
    )
    const rooms = new Set(readers.filter(({ fromRoom }) => fromRoom !== 'texts').map(({ from }) => from))
    expect([...rooms].sort()).toEqual([
      'evaluate/consented-distance.ts',
      'evaluate/reference.ts',
      'federation/client/read-own-texts.ts',
      'histogram/clients.ts',
      'run/evaluate.ts',
      'run/inputs.ts',
      'run/observe.ts',
    ])
  })

  it('no language model knows of texts, embeddings or votes', () => {
    const wrong = imports.filter(
      ({ fromRoom, toRoom }) =>
        fromRoom === 'llm' && ['texts', 'embeddings', 'histogram'].includes(toRoom ?? ''),
    )
    expect(wrong).toEqual([])
  })

  it('exact sums are read by addNoise alone, and only addNoise brands a noisy histogram', () => {
    const readers = files.filter((file) => readFileSync(file, 'utf8').includes('exactSums('))
    expect(readers.map((file) => relative(SRC, file)).sort()).toEqual([
      'histogram/exact-votes.ts',
      'histogram/noise.ts',
    ])
    const proven = files.filter((file) => readFileSync(file, 'utf8').includes('provenVotes('))
    expect(proven.map((file) => relative(SRC, file)).sort()).toEqual([
      'federation/aggregation/two-server.ts',
      'histogram/exact-votes.ts',
    ])
    const makers = files.filter((file) => readFileSync(file, 'utf8').includes('as NoisyHistogram'))
    expect(makers.map((file) => relative(SRC, file))).toEqual(['histogram/noise.ts'])
  })

  it('no file uses Math.random', () => {
    expect(files.filter((file) => readFileSync(file, 'utf8').includes('Math.random'))).toEqual([])
  })

  it('noise for privacy comes from privacy: no seeded generator on the way from sum to release', () => {
    const path = [
      'histogram/noise.ts',
      'histogram/release.ts',
      'privacy/rounded-gaussian.ts',
      'privacy/private-random.ts',
    ]
    const seeded = imports.filter(
      ({ from, target }) =>
        path.includes(from) && /random\.ts$/.test(target) && !/private-random/.test(target),
    )
    expect(seeded).toEqual([])
  })
})

describe('packages of the coordinator', () => {
  it('databases are loaded where a store is opened: a run without clients of its own loads none', () => {
    const named = files.flatMap((file) =>
      [
        ...readFileSync(file, 'utf8').matchAll(
          /(import type|import|export)\s[^'"]*?from '(?:@libsql\/client|pg)'|import '(?:@libsql\/client|pg)'|import\('(?:@libsql\/client|pg)'\)/g,
        ),
      ]
        .filter((match) => match[1] !== 'import type')
        .map((match) => `${relative(SRC, file)}: ${match[0]}`),
    )
    expect(named.sort()).toEqual([
      "federation/stores/embedded.ts: import('@libsql/client')",
      "federation/stores/postgres.ts: import('pg')",
    ])
  })
})

describe('file sizes', () => {
  const lines = files.map((file) => readFileSync(file, 'utf8').split('\n').length).sort((a, b) => a - b)

  it('stay small: median at most 120 lines, none over 500', () => {
    expect(lines[Math.floor(lines.length / 2)]).toBeLessThanOrEqual(120)
    expect(Math.max(...lines)).toBeLessThanOrEqual(500)
  })

  it('no drawer for things without a name', () => {
    expect(files.filter((file) => /^(utils?|helpers|common|misc)(\.ts)?$/.test(basename(file)))).toEqual([])
    expect(files.filter((file) => /\/(utils?|helpers|common|misc)\//.test(file))).toEqual([])
  })

  it('every file opens with what it is', () => {
    expect(
      files.filter((file) => !readFileSync(file, 'utf8').startsWith('//')).map((f) => relative(SRC, f)),
    ).toEqual([])
  })
})
