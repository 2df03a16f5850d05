// Byte-exact on the official vectors of the VDAF draft, which are read from PRETEXT_VDAF_VECTORS (default:
// ../shared/data/vdaf-vectors) and are not part of this repository, and on our own in test/golden. Each runs over the kernel
// and over the BigInt reference.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { FIELD64, FIELD128 } from '../../src/vdaf/field.ts'
import { field128 } from '../../src/vdaf/field-kernel.ts'
import { referenceField } from '../../src/vdaf/field-reference.ts'
import { deriveSeed, expandIntoVector } from '../../src/vdaf/xof.ts'
import { instanceOf, type TestVector } from './vector-instance.ts'
import { runVector } from './vectors.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const OFFICIAL = process.env.PRETEXT_VDAF_VECTORS ?? join(ROOT, '../shared/data/vdaf-vectors')
const reference = { Field64: referenceField(FIELD64), Field128: referenceField(FIELD128) }

// A circuit for tests alone, of a degree that no other has.
const OTHER = /^Prio3HigherDegree/

function suite(name: string, vector: TestVector): void {
  it(name, () => runVector(instanceOf(name, vector), vector))
  // The reference's polynomials are quadratic; its arithmetic is the same at every length.
  if ((vector.length ?? 0) <= 20) {
    it(`${name}, reference arithmetic`, () =>
      runVector(
        instanceOf(name, vector, (field) => reference[field]),
        vector,
      ))
  }
}

describe('official vectors', () => {
  if (!existsSync(OFFICIAL)) {
    console.warn(`skipped: no official vectors in ${OFFICIAL}`)
    it.skip(`no official vectors in ${OFFICIAL}: set PRETEXT_VDAF_VECTORS to the draft's test_vec/vdaf`)
    return
  }
  const names = readdirSync(OFFICIAL)
    .filter((name) => name.startsWith('Prio3') && !OTHER.test(name))
    .map((name) => name.replace('.json', ''))
  for (const name of names)
    suite(name, JSON.parse(readFileSync(join(OFFICIAL, `${name}.json`), 'utf8')) as TestVector)

  it.skipIf(!existsSync(join(OFFICIAL, 'XofTurboShake128.json')))('XofTurboShake128', () => {
    const vector = JSON.parse(readFileSync(join(OFFICIAL, 'XofTurboShake128.json'), 'utf8'))
    const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))
    const input = { seed: bytes(vector.seed), tag: bytes(vector.dst), binder: bytes(vector.binder) }
    expect(Buffer.from(deriveSeed(input)).toString('hex')).toBe(vector.derived_seed)
    expect(Buffer.from(expandIntoVector(field128, vector.length, input)).toString('hex')).toBe(
      vector.expanded_vec_field128,
    )
  })
})

describe('own vectors (made by test/golden/vdaf-vectors.ts)', () => {
  const own = JSON.parse(readFileSync(join(ROOT, 'test/golden/vdaf-vectors.json'), 'utf8'))
  for (const [name, vector] of Object.entries(own)) suite(name, vector as TestVector)
})
