import { createHash } from 'node:crypto'
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { PretextError } from '../../src/errors.ts'
import { filterEpsilon } from '../../src/privacy/accountant.ts'
import type { MechanismEvent } from '../../src/privacy/events.ts'
import { charge, chargesIn, type LedgerTerms, readLedger, spentEpsilon } from '../../src/privacy/ledger.ts'
import { pld } from '../../src/privacy/pld.ts'
import { rdp } from '../../src/privacy/rdp.ts'

const terms: LedgerTerms = { dataset: 'people', unit: 'client', adjacency: 'add-remove' }
const gaussian = (noiseMultiplier: number) => ({ type: 'gaussian' as const, noiseMultiplier })
const of = (run: string, release: string, noise = 2.31) => ({ run, release, mechanism: gaussian(noise) })

let path: string
beforeEach(async () => {
  path = join(await mkdtemp(join(tmpdir(), 'ledger-')), 'people.jsonl')
})

async function chargeMany(count: number): Promise<void> {
  for (let i = 1; i <= count; i++) await charge(path, terms, of('run-1', `round-${i}`))
}

async function errorOf(promise: Promise<unknown>): Promise<PretextError> {
  const error = await promise.then(
    () => undefined,
    (e: unknown) => e,
  )
  expect(error).toBeInstanceOf(PretextError)
  return error as PretextError
}

describe('ledger', () => {
  it('keeps every charge, spans runs, and adds them up tightly', async () => {
    await chargeMany(5)
    await charge(path, terms, of('run-2', 'round-1', 11.3))
    const entries = await readLedger(path)
    expect(chargesIn(entries).map((e) => `${e.number} ${e.run} ${e.release}`)).toEqual([
      '1 run-1 round-1',
      '2 run-1 round-2',
      '3 run-1 round-3',
      '4 run-1 round-4',
      '5 run-1 round-5',
      '6 run-2 round-1',
    ])
    // Five releases at 2.31 alone: 4.480107 at 3e-6.
    expect(spentEpsilon(entries.slice(0, 5), 3e-6)).toBeCloseTo(4.480107, 5)
    expect(spentEpsilon(entries, 3e-6)).toBeGreaterThan(4.480107)
  })

  it('charges a release once: asked again, it finds the same entry', async () => {
    const first = await charge(path, terms, of('run-1', 'round-1'))
    const second = await charge(path, terms, of('run-1', 'round-1'))
    expect(first.repeated).toBe(false)
    expect(second.repeated).toBe(true)
    expect(second.entry).toEqual(first.entry)
    expect(await readLedger(path)).toHaveLength(1)
  })

  it('refuses another noise under the name of a release that was charged', async () => {
    await charge(path, terms, of('run-1', 'round-1'))
    const error = await errorOf(charge(path, terms, of('run-1', 'round-1', 1)))
    expect(error.message).toBe('release round-1 of run run-1 was charged with other noise')
  })

  it('refuses the release that would overspend, before anything is written', async () => {
    const budget = { epsilon: 4, delta: 3e-6 }
    const limited = { ...terms, budget }
    for (let i = 1; i <= 4; i++) await charge(path, limited, of('run-1', `round-${i}`))
    const error = await errorOf(charge(path, limited, of('run-1', 'round-5')))
    expect(error.code).toBe('budget')
    expect(error.exitCode).toBe(6)
    expect(error.message).toMatch(
      /would bring data set "people" to epsilon 4\.4801, over its budget of 4 at delta 0\.000003/,
    )
    expect(await readLedger(path)).toHaveLength(4)
    // A smaller release still fits: the filter looks at the composition, not at the number of releases.
    await charge(path, limited, of('run-1', 'small', 30))
  })

  it('detects an edited line', async () => {
    await chargeMany(3)
    const text = await readFile(path, 'utf8')
    await writeFile(path, text.replace('"noiseMultiplier":2.31', '"noiseMultiplier":23.1'))
    const error = await errorOf(readLedger(path))
    expect(error.code).toBe('ledger')
    expect(error.message).toBe(`${path}:1: the entry does not match its own hash: it was edited`)
  })

  it('detects removed entries: first, middle, last, and all', async () => {
    await chargeMany(4)
    const lines = (await readFile(path, 'utf8')).trimEnd().split('\n')
    for (const kept of [
      lines.slice(1),
      [lines[0], ...lines.slice(2)],
      lines.slice(0, 3),
      lines.slice(0, 1),
      [],
    ]) {
      await writeFile(path, kept.map((line) => `${line}\n`).join(''))
      expect((await errorOf(readLedger(path))).code).toBe('ledger')
    }
  })

  it('detects a rollback of the ledger, and of the head', async () => {
    await chargeMany(2)
    const old = await readFile(path, 'utf8')
    const oldHead = await readFile(`${path}.head`, 'utf8')
    await charge(path, terms, of('run-1', 'round-3'))
    await charge(path, terms, of('run-1', 'round-4'))
    const now = await readFile(path, 'utf8')
    await writeFile(path, old)
    expect((await errorOf(readLedger(path))).message).toMatch(/tells of 4 entries, the ledger ends after 2/)
    await writeFile(path, now)
    await writeFile(`${path}.head`, oldHead)
    expect((await errorOf(readLedger(path))).message).toMatch(/tells of 2 entries, the ledger ends after 4/)
  })

  it('cannot see a rollback of ledger and head together: the head that was kept elsewhere can', async () => {
    await chargeMany(2)
    const files = [path, `${path}.head`]
    const old = await Promise.all(files.map((file) => readFile(file, 'utf8')))
    await charge(path, terms, of('run-1', 'round-3'))
    const kept = (await readLedger(path)).at(-1)?.hash
    for (const [i, file] of files.entries()) await writeFile(file, old[i] as string)
    const rolledBack = await readLedger(path)
    expect(rolledBack).toHaveLength(2)
    expect(rolledBack.map((entry) => entry.hash)).not.toContain(kept)
  })

  it('takes a torn last line for what it is: a charge that paid for nothing', async () => {
    await chargeMany(2)
    await appendFile(path, '{"format":"pretext-ledger","vers')
    expect(await readLedger(path)).toHaveLength(2)
    await charge(path, terms, of('run-1', 'round-3'))
    expect(await readLedger(path)).toHaveLength(3)
  })

  it('goes on after a crash between the entry and the head', async () => {
    await chargeMany(2)
    const head = await readFile(`${path}.head`, 'utf8')
    await charge(path, terms, of('run-1', 'round-3'))
    await writeFile(`${path}.head`, head)
    expect(await readLedger(path)).toHaveLength(3)
    await charge(path, terms, of('run-1', 'round-4'))
    expect(JSON.parse(await readFile(`${path}.head`, 'utf8')).number).toBe(4)
    expect(await readLedger(path)).toHaveLength(4)
  })

  it('refuses other terms: data set, unit, adjacency', async () => {
    await chargeMany(1)
    for (const other of [
      { dataset: 'others' },
      { unit: 'record' as const },
      { adjacency: 'substitution' as const },
    ]) {
      const error = await errorOf(charge(path, { ...terms, ...other }, of('run-2', 'round-1')))
      const [key, value] = Object.entries(other)[0] as [string, string]
      expect(error.message).toBe(
        `${path}: this ledger holds ${key} "${terms[key as 'dataset']}", the run wants ${key} "${value}"`,
      )
    }
  })

  it('detects reordered lines, and a line that was written twice', async () => {
    await chargeMany(3)
    const [a, b, c] = (await readFile(path, 'utf8')).trimEnd().split('\n')
    for (const lines of [
      [b, a, c],
      [a, c, b],
      [a, a, b, c],
      [a, b, c, c],
    ]) {
      await writeFile(path, `${lines.join('\n')}\n`)
      const error = await errorOf(readLedger(path))
      expect(error.message).toMatch(/entries were removed or reordered$/)
      expect(error.exitCode).toBe(13)
    }
  })

  it('detects a ledger without its head, and a head without its ledger', async () => {
    await chargeMany(2)
    const text = await readFile(path, 'utf8')
    const head = await readFile(`${path}.head`, 'utf8')
    await rm(`${path}.head`)
    expect((await errorOf(charge(path, terms, of('run-2', 'round-1')))).code).toBe('ledger')
    await writeFile(`${path}.head`, head)
    await rm(path)
    expect((await errorOf(charge(path, terms, of('run-2', 'round-1')))).code).toBe('ledger')
    await writeFile(path, text)
    await writeFile(`${path}.head`, head.slice(0, 20))
    expect((await errorOf(readLedger(path))).message).toBe(
      `${path}.head:1: expected {"number", "hash"}, got something else`,
    )
  })

  it('detects an entry of another unit, even where every hash was made to fit', async () => {
    await chargeMany(1)
    await charge(`${path}2`, { ...terms, unit: 'record' }, of('run-1', 'round-1'))
    const [first] = await readLedger(path)
    const { hash: _, ...body } = (await readLedger(`${path}2`))[0] as NonNullable<typeof first>
    const forged = { ...body, number: 2, previous: first?.hash }
    const hash = createHash('sha256')
      .update(JSON.stringify(Object.entries(forged).sort()))
      .digest('hex')
    await appendFile(path, `${JSON.stringify({ ...forged, hash })}\n`)
    expect((await errorOf(readLedger(path))).message).toBe(
      `${path}:2: the entry has another unit than the first`,
    )
  })

  it('reads back what was charged, in whatever order its keys came', async () => {
    const mechanism = { noiseMultiplier: 3, type: 'gaussian' } as const
    await charge(path, terms, { run: 'run-1', release: 'round-1', mechanism })
    const nested = {
      event: { event: mechanism, rate: 0.5, type: 'poissonSampled' },
      count: 2,
      type: 'repeated',
    }
    await charge(path, terms, { run: 'run-1', release: 'round-2', mechanism: nested as MechanismEvent })
    expect(chargesIn(await readLedger(path)).map((entry) => entry.mechanism)).toEqual([mechanism, nested])
  })

  it.each([Number.NaN, Number.POSITIVE_INFINITY, 0, -1])(
    'refuses a noise of %f, and stays whole',
    async (noise) => {
      await chargeMany(1)
      expect((await errorOf(charge(path, terms, of('run-2', 'round-1', noise)))).code).toBe('config')
      expect(await readLedger(path)).toHaveLength(1)
    },
  )

  it('refuses what nothing can account for under its adjacency', async () => {
    const mechanism = { type: 'fixedSizeSampled', rate: 0.1, event: gaussian(2) } as const
    const error = await errorOf(charge(path, terms, { run: 'run-1', release: 'round-1', mechanism }))
    expect(error.message).toBe(
      'a ledger under add-remove adjacency cannot hold this mechanism: sampling of a fixed size is accounted under substitution adjacency',
    )
    await charge(
      path,
      { ...terms, adjacency: 'substitution' },
      { run: 'run-1', release: 'round-1', mechanism },
    )
  })

  it('holds adaptively chosen releases to GDP where all are Gaussian and to RDP otherwise, never to PLD', async () => {
    const budget = { epsilon: 3, delta: 1e-6 }
    const events: MechanismEvent[] = [{ type: 'laplace', noiseMultiplier: 5 }, gaussian(4), gaussian(8)]
    for (const [i, mechanism] of events.entries()) {
      await charge(path, { ...terms, budget }, { run: `run-${i}`, release: 'round-1', mechanism })
      const spent = spentEpsilon(await readLedger(path), budget.delta)
      const before = events.slice(0, i + 1)
      expect(spent).toBe(rdp.epsilon(before, budget.delta))
      // PLD gives less, and would be wrong to hold against noise that was chosen after seeing releases.
      if (i > 0) expect(spent).toBeGreaterThan(pld.epsilon(before, budget.delta))
    }
    const wanted = { run: 'run-9', release: 'round-1', mechanism: gaussian(1.9) }
    const all = [...events, wanted.mechanism]
    // Between the two: PLD would let it through.
    expect(pld.epsilon(all, budget.delta)).toBeLessThan(budget.epsilon)
    expect(filterEpsilon(all, budget)).toBeGreaterThan(budget.epsilon)
    const error = await errorOf(charge(path, { ...terms, budget }, wanted))
    expect(error.exitCode).toBe(6)
    expect(await readLedger(path)).toHaveLength(3)
  })

  it('a budget that began with Gaussian releases does not change its theorem on the way', async () => {
    const budget = { epsilon: 3, delta: 1e-6 }
    const of = (release: string, mechanism: MechanismEvent) => ({ run: 'run-1', release, mechanism })
    await charge(path, { ...terms, budget }, of('round-1', gaussian(40)))
    const error = await errorOf(
      charge(path, { ...terms, budget }, of('round-2', { type: 'laplace', noiseMultiplier: 50 })),
    )
    expect(error.exitCode).toBe(13)
    expect(error.message).toContain('a budget that began with Gaussian releases pays for no others')
    expect(await readLedger(path)).toHaveLength(1)
  })

  it('keeps two writers apart: every charge is there, in one chain', async () => {
    await Promise.all(Array.from({ length: 6 }, (_, i) => charge(path, terms, of(`run-${i}`, 'round-1'))))
    expect(await readLedger(path)).toHaveLength(6)
  })
})
