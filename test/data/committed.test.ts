// What the committed data promises: sizes, counts, limits, disjoint clients and texts, nothing that points to a person.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { isText as isNote } from '../../data/changes/parse.mjs'
import { isBoilerplate, isText } from '../../data/debian/parse.mjs'
import { isPassage } from '../../data/public/parse.mjs'
import { markdown, readRows } from '../../data/stats.mjs'

const folder = join(import.meta.dirname, '../../data')
const at = (name: string) => join(folder, name)
const bytesBelow = (name: string) =>
  readdirSync(at(name), { recursive: true, encoding: 'utf8' })
    .map((entry) => statSync(join(at(name), entry)))
    .reduce((sum, entry) => sum + (entry.isFile() ? entry.size : 0), 0)
const counts = (keys: string[]) => {
  const found = new Map<string, number>()
  for (const key of keys) found.set(key, (found.get(key) ?? 0) + 1)
  return found
}

describe('data/debian', () => {
  const clients = readRows(at('debian/clients.jsonl'))
  const heldOut = readRows(at('debian/heldout.jsonl'))
  const all = [...clients, ...heldOut]
  const idsOf = (rows: typeof all) => counts(rows.map((row) => row.client ?? ''))

  it('is at most 2 MB', () => expect(bytesBelow('debian')).toBeLessThanOrEqual(2_000_000))

  it('has 1,000 training clients and at least 120 held-out clients, at most 8 texts each', () => {
    expect(idsOf(clients).size).toBe(1000)
    expect(idsOf(heldOut).size).toBeGreaterThanOrEqual(120)
    expect(Math.max(...idsOf(clients).values(), ...idsOf(heldOut).values())).toBeLessThanOrEqual(8)
  })

  it('shares no client and no text between the two', () => {
    const training = idsOf(clients)
    expect([...idsOf(heldOut).keys()].filter((id) => training.has(id))).toEqual([])
    expect(new Set(all.map((row) => row.text?.toLowerCase())).size).toBe(all.length)
  })

  it('has rows of client, label and text alone, with numbers for names', () => {
    const wrong = all.filter(
      (row) =>
        Object.keys(row).join() !== 'client,label,text' ||
        !/^m\d{4}$/.test(row.client ?? '') ||
        !/^[a-z][a-z0-9-]*$/.test(row.label ?? ''),
    )
    expect(wrong).toEqual([])
  })

  it('has texts of 15 to 120 words without addresses, hosts or boilerplate', () => {
    expect(all.filter((row) => !isText(row.text ?? '') || isBoilerplate(row.text ?? ''))).toEqual([])
    expect(all.filter((row) => /@|:\/\//.test(row.text ?? ''))).toEqual([])
  })
})

describe('data/changes', () => {
  const clients = readRows(at('changes/clients.jsonl'))
  const heldOut = readRows(at('changes/heldout.jsonl'))
  const all = [...clients, ...heldOut]
  const idsOf = (rows: typeof all) => counts(rows.map((row) => row.client ?? ''))

  it('is at most 350 kB, with at most 4 texts of each client', () => {
    expect(bytesBelow('changes')).toBeLessThanOrEqual(350_000)
    expect(idsOf(clients).size).toBe(372)
    expect(idsOf(heldOut).size).toBe(66)
    expect(Math.max(...idsOf(all).values())).toBeLessThanOrEqual(4)
  })

  it('shares no client and no text between the two, and has numbers for names', () => {
    const training = idsOf(clients)
    expect([...idsOf(heldOut).keys()].filter((id) => training.has(id))).toEqual([])
    expect(new Set(all.map((row) => row.text?.toLowerCase())).size).toBe(all.length)
    expect(all.filter((row) => !/^m\d{4}$/.test(row.client ?? ''))).toEqual([])
  })

  it('has texts of 12 to 80 words without addresses or thanks', () => {
    expect(all.filter((row) => !isNote(row.text ?? ''))).toEqual([])
  })
})

describe('data/public', () => {
  const texts = readRows(at('public/texts.jsonl'))

  it('is at most 1 MB and at least 3,000 passages', () => {
    expect(bytesBelow('public')).toBeLessThanOrEqual(1_000_000)
    expect(texts.length).toBeGreaterThanOrEqual(3000)
  })

  it('has rows of text and source alone, no two alike, each a passage', () => {
    expect(
      texts.filter((row) => Object.keys(row).join() !== 'text,source' || !isPassage(row.text ?? '')),
    ).toEqual([])
    expect(new Set(texts.map((row) => row.text?.toLowerCase())).size).toBe(texts.length)
  })

  it('names the licence of every source', () => {
    const credits = readFileSync(at('public/ATTRIBUTION.md'), 'utf8')
    const uncredited = [...new Set(texts.map((row) => row.source ?? ''))].filter(
      (source) => !credits.includes(`\n| ${source}`),
    )
    expect(uncredited).toEqual([])
  })

  it('shares no text with data/debian', () => {
    const shown = new Set(
      ['clients', 'heldout'].flatMap((name) => readRows(at(`debian/${name}.jsonl`)).map((row) => row.text)),
    )
    expect(texts.filter((row) => shown.has(row.text))).toEqual([])
  })
})

describe('the READMEs', () => {
  it.each([
    ['debian', ['debian/clients.jsonl', 'debian/heldout.jsonl']],
    ['public', ['public/texts.jsonl']],
  ])('data/%s shows the table that data/stats.mjs prints', (name, files) => {
    expect(readFileSync(at(`${name}/README.md`), 'utf8')).toContain(markdown(files.map(at)))
  })
})
