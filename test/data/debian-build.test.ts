// The builder of data/debian end to end on an index made by hand: the split, the limits, and equal bytes on every run.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { collect, extract, splitClients } from '../../data/debian/split.mjs'

const animals = [
  'otter',
  'heron',
  'badger',
  'lizard',
  'falcon',
  'salmon',
  'beetle',
  'marten',
  'weasel',
  'turtle',
]
const numerals = [
  'alpha',
  'beta',
  'gamma',
  'delta',
  'epsilon',
  'zeta',
  'eta',
  'theta',
  'iota',
  'kappa',
  'lambda',
  'omega',
]
const prose = (one: number, two: number) =>
  `Every ${animals[one]} in ${numerals[two]} valley watches the river at dawn and tells its friends what it has seen there today.`

function handmadeIndex() {
  const packages: string[] = []
  const translation: string[] = []
  for (const [one, animal] of animals.entries())
    for (const [two, numeral] of numerals.entries()) {
      const id = `${animal}x${numeral}`
      packages.push(
        `Package: ${id}\nMaintainer: Keeper Nr${one} <keeper${one}@x.invalid>\nSection: contrib/games\nDescription-md5: ${id}`,
      )
      translation.push(`Package: ${id}\nDescription-md5: ${id}\nDescription-en: s\n ${prose(one, two)}`)
    }
  return { packages: packages.join('\n\n'), translation: translation.join('\n\n') }
}

describe('collect and splitClients', () => {
  const index = handmadeIndex()
  const rows = collect(index.packages, index.translation)

  it('takes at most three texts with one opening', () => {
    const openings = rows.map((row) => row.text.split(' ').slice(0, 8).join(' '))
    expect(rows.length).toBe(120)
    expect(new Set(openings).size).toBe(120)
    const same = Array.from(
      { length: 6 },
      (_, at) => `Package: p${'abcdef'[at]}\nMaintainer: A B <a@x.invalid>\nDescription-md5: ${at}`,
    )
    const texts = Array.from(
      { length: 6 },
      (_, at) =>
        `Description-md5: ${at}\nDescription-en: s\n One two three four five six seven eight nine ten eleven twelve thirteen fourteen ${animals[at]}.`,
    )
    expect(collect(same.join('\n\n'), texts.join('\n\n')).length).toBe(3)
  })

  it('keeps the first of two equal texts only', () => {
    const twice = `${index.packages}\n\nPackage: zz\nMaintainer: Z Y <z@x.invalid>\nDescription-md5: zz`
    const again = `${index.translation}\n\nDescription-md5: zz\nDescription-en: s\n ${prose(0, 0)}`
    expect(collect(twice, again)).toEqual(rows)
  })

  it('splits by client, numbers without names, and drops the area of the label', () => {
    const { training, heldOut } = splitClients(rows, 'seed')
    const ids = [...training, ...heldOut].map((one) => one.client)
    expect(new Set(ids).size).toBe(animals.length)
    for (const one of [...training, ...heldOut]) {
      expect(one.client).toMatch(/^m\d{4}$/)
      expect(new Set(one.rows.map((row) => row.text.split(' ')[1])).size).toBe(1)
      expect(new Set(one.rows.map((row) => row.label))).toEqual(new Set(['games']))
    }
  })

  it('numbers clients in an order that the seed decides', () => {
    const order = (seed: string) => {
      const { training, heldOut } = splitClients(rows, seed)
      const all = [...training, ...heldOut].sort((a, b) => (a.client < b.client ? -1 : 1))
      return all.map((one) => one.rows[0]?.text.split(' ')[1])
    }
    expect(order('one')).toEqual(order('one'))
    expect(order('one')).not.toEqual(order('two'))
    expect(order('one')).not.toEqual(animals)
  })

  it('limits clients and texts per client', () => {
    const { training } = splitClients(rows, 'seed')
    const chosen = extract(training, 'seed', 3, 4)
    expect(chosen.length).toBe(12)
    expect(new Set(chosen.map((row) => row.client)).size).toBe(3)
  })
})

describe('the command', () => {
  const script = join(import.meta.dirname, '../../data/debian/build.mjs')

  it('writes the same bytes twice', () => {
    const folder = mkdtempSync(join(tmpdir(), 'pretext-data-'))
    const index = handmadeIndex()
    writeFileSync(join(folder, 'P'), index.packages)
    writeFileSync(join(folder, 'T'), index.translation)
    const build = (out: string) => {
      const flags = [
        '--packages',
        join(folder, 'P'),
        '--translation',
        join(folder, 'T'),
        '--out',
        join(folder, out),
      ]
      execFileSync(process.execPath, [script, ...flags])
      const names = readdirSync(join(folder, out)).sort()
      return names.map((name) => [name, readFileSync(join(folder, out, name), 'utf8')])
    }
    const first = build('one')
    expect(first.map(([name]) => name)).toEqual(['clients.jsonl', 'heldout.jsonl'])
    expect(build('two')).toEqual(first)
    rmSync(folder, { recursive: true })
  })

  it('refuses --full over the committed extract, and half an index', () => {
    const run = (...flags: string[]) => spawnSync(process.execPath, [script, ...flags], { encoding: 'utf8' })
    const full = run('--full')
    expect([full.status, full.stderr]).toEqual([
      2,
      'expected --out DIR with --full: the folder of the command holds the committed extract\n',
    ])
    const half = run('--packages', 'x')
    expect([half.status, half.stderr]).toEqual([2, 'expected --packages and --translation together\n'])
  })
})
