// The sets of an evaluation: equal columns, whole clients, the types that keep private texts out, and the private folder.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { mkdir, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { matrix } from '../../src/embeddings/matrix.ts'
import { equalColumns, labelIndexes } from '../../src/evaluate/columns.ts'
import { inPrivateFolder } from '../../src/evaluate/private-folder.ts'
import { referenceRows, sampleClients } from '../../src/evaluate/reference.ts'
import { seededRandom } from '../../src/random.ts'
import { columnsOf } from '../../src/texts/columns.ts'
import { ConsentedTexts, PrivateTexts } from '../../src/texts/private-texts.ts'

const rows = (count: number) => Array.from({ length: count }, (_, i) => ({ text: `text ${i}` }))

describe('columns', () => {
  it('are cut to the smallest and to the limit, without repeats, the same for the same seed', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 4 }), (sizes) => {
        const names = ['initial', 'expand-only', 'corpus', 'private'] as const
        const columns = sizes.map((size, i) => ({
          name: names[i] as (typeof names)[number],
          // Of two seeds, one of which has more.
          sets: [rows(size), rows(size + 3)],
        }))
        const equal = equalColumns(columns, 40, seededRandom(1))
        for (const [i, column] of equal.entries()) {
          expect(column.texts).toBe(2 * (sizes[i] as number) + 3)
          for (const set of column.sets) {
            expect(set).toHaveLength(Math.min(40, ...sizes))
            expect(new Set(set.map((row) => row.text)).size).toBe(set.length)
          }
        }
        expect(equalColumns(columns, 40, seededRandom(1))).toEqual(equal)
      }),
    )
  })

  it('an empty one is refused by name', () => {
    const empty = () => equalColumns([{ name: 'corpus', sets: [[]] }], 10, seededRandom(1))
    expect(empty).toThrow(
      expect.objectContaining({
        code: 'data',
        message: 'corpus: expected a set of at least one text, got an empty one',
      }),
    )
  })

  it('labels are numbered by the public list; others have none', () => {
    expect(
      labelIndexes([{ text: 'a', label: 'y' }, { text: 'b', label: 'z' }, { text: 'c' }], ['x', 'y']),
    ).toEqual([1, undefined, undefined])
  })
})

describe('the reference', () => {
  const texts = columnsOf([
    { texts: ['a b', 'c d'], labels: [1, 0] },
    { texts: ['e f'], labels: [1] },
  ])

  it('is the texts of consented clients, with labels where asked', () => {
    expect(referenceRows(new ConsentedTexts(texts), { labelled: true })).toEqual([
      { client: 0, text: 'a b', label: 1 },
      { client: 0, text: 'c d', label: 0 },
      { client: 1, text: 'e f', label: 1 },
    ])
    expect(referenceRows(new ConsentedTexts(texts), { labelled: false })[0]).toEqual({
      client: 0,
      text: 'a b',
    })
  })

  it('is never private texts: the compiler refuses them, and so does the function', () => {
    // @ts-expect-error private texts are no reference
    const refused = () => referenceRows(new PrivateTexts(texts), { labelled: false })
    expect(refused).toThrow('expected consented texts or those of a simulation, got private ones')
  })

  it('is sampled by whole clients', () => {
    const many = Array.from({ length: 90 }, (_, i) => ({ client: i % 30, text: `${i}` }))
    const taken = sampleClients(many, 20, seededRandom(3))
    const clients = new Set(taken.map((row) => row.client))
    expect(clients.size).toBe(7)
    expect(taken).toHaveLength(21)
    expect(sampleClients(many, 90, seededRandom(3))).toEqual(many)
  })
})

describe('the private folder', () => {
  it('is readable by its user alone, and gone afterwards, also after a failure', async () => {
    const root = await mkdtemp(join(tmpdir(), 'private-'))
    let path = ''
    const failing = inPrivateFolder(
      async (folder) => {
        path = folder.path
        const file = await folder.write('texts', [{ text: 'secret' }], matrix(1, 2, new Float32Array([1, 2])))
        expect(statSync(path).mode & 0o777).toBe(0o700)
        for (const name of readdirSync(path)) expect(statSync(join(path, name)).mode & 0o777).toBe(0o600)
        expect(readFileSync(file, 'utf8')).toBe('{"text":"secret"}\n')
        expect(readFileSync(join(path, 'texts.f32')).readFloatLE(4)).toBe(2)
        throw new Error('boom')
      },
      { root },
    )
    await expect(failing).rejects.toThrow('boom')
    expect(existsSync(path)).toBe(false)
  })

  it('of a process that was killed is removed by the next one; that of a living one is not', async () => {
    const root = await mkdtemp(join(tmpdir(), 'private-'))
    await mkdir(join(root, 'pretext-evaluate-999999999-abc'))
    await mkdir(join(root, `pretext-evaluate-${process.pid}-abc`))
    await mkdir(join(root, 'somebody-else'))
    await inPrivateFolder(async () => {}, { root })
    expect(readdirSync(root).sort()).toEqual([`pretext-evaluate-${process.pid}-abc`, 'somebody-else'])
  })
})
