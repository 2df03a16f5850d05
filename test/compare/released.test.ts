// The epsilon of PrE-Text's own arm is read from what a run released: a folder with less noise, a release that is missing or one
// too many is refused, by the ledger where it disagrees with the files, and by the epsilon where it agrees.
import { createHash } from 'node:crypto'
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { checkSpent, epsilonSpent } from '../../src/compare/epsilon.ts'
import { releasedBy } from '../../src/compare/released.ts'
import { loadConfig } from '../../src/config/load.ts'
import { readRelease } from '../../src/histogram/release.ts'
import { type ChargeEntry, charge, chargesIn, commit, readLedger } from '../../src/privacy/ledger.ts'
import { generate } from '../../src/run/generate.ts'
import { workspace } from '../run/workspace.ts'

const ASKED = 8
const TERMS = { delta: 1e-5, adjacency: 'add-remove' } as const

let folder: string
let run: string
let copies = 0

/** One round, as it is written anew. */
interface Told {
  readonly release: string
  readonly file: string
  /** As a share of the noise that the run had. */
  sigma: number
  charged: number
  /** Whether the file is there, and whether the ledger knows of it. */
  there: boolean
  paid: boolean
}

/** A copy of the run whose files and ledger were all written by the same hand, with `change` in them. */
async function forged(change: (rounds: Told[]) => void = () => {}): Promise<string> {
  const copy = join(folder, `copy-${copies++}`)
  await cp(run, copy, { recursive: true })
  const manifestFile = join(copy, 'manifest.json')
  const manifest = JSON.parse(await readFile(manifestFile, 'utf8'))
  const before = chargesIn(await readLedger(resolve(run, manifest.ledger)))
  const ledger = join(folder, `ledgers/copy-${copies}.jsonl`)
  await writeFile(manifestFile, JSON.stringify({ ...manifest, ledger: relative(copy, ledger) }))
  const told = [1, 2, 3].map((t): Told => {
    const there = t <= 2
    const file = join(copy, `rounds/${String(t).padStart(4, '0')}/release.json`)
    return { release: `round-${t}`, file, sigma: 1, charged: 1, there, paid: there }
  })
  change(told)
  const first = before[0] as ChargeEntry
  const original = await readRelease(join(run, 'rounds/0001/release.json'))
  const { dataset, unit, adjacency } = first
  const multiplier = first.mechanism.type === 'gaussian' ? first.mechanism.noiseMultiplier : 0
  for (const { release, file, sigma, charged, there, paid } of told) {
    await rm(file, { force: true })
    const mechanism = { type: 'gaussian', noiseMultiplier: multiplier * charged } as const
    const asked = { run: manifest.chargedAs, release, mechanism }
    const entry = paid ? (await charge(ledger, { dataset, unit, adjacency }, asked)).entry : undefined
    const content = {
      ...original,
      release,
      sigma: (original?.sigma ?? 0) * sigma,
      charge: entry?.hash ?? '0',
    }
    const bytes = `${JSON.stringify(content)}\n`
    if (entry !== undefined) await commit(ledger, entry, createHash('sha256').update(bytes).digest('hex'))
    if (!there) continue
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, bytes)
  }
  return copy
}

const check = async (path: string) =>
  checkSpent('pretext', ASKED, epsilonSpent(await releasedBy(path, 40), TERMS))

beforeAll(async () => {
  const made = await workspace((config) => {
    config.data.simulation = true
  })
  ;({ folder, out: run } = made)
  await generate(await loadConfig(made.config), { out: run })
}, 120_000)

describe('what a run released', () => {
  it('is the epsilon that was asked for, with the bound and the noise of each release', async () => {
    const mechanisms = await releasedBy(run, 40)
    expect(mechanisms).toHaveLength(2)
    expect(mechanisms[0]).toMatchObject({
      clip: 1,
      releases: 1,
      sampling: 'all',
      contributions: 'non-negative',
    })
    expect(mechanisms[0]?.sigma).toBeGreaterThan(0.5)
    await check(run)
    // The forger's hand alone changes nothing.
    await check(await forged())
  })

  it('has the bound of other votes, and label shares as one release more', async () => {
    const { config, out } = await workspace((content) => {
      content.data.simulation = true
      content.data.private.label = 'label'
      content.histogram = { vote: 'multihot', maxTextsPerClient: 3, maxCandidates: 3 }
      content.evolution.labels = { values: ['even', 'odd'], shares: 'measured' }
    })
    await generate(await loadConfig(config), { out })
    const mechanisms = await releasedBy(out, 40)
    expect(mechanisms.map(({ clip }) => clip)).toEqual([1, Math.sqrt(3), Math.sqrt(3)])
    checkSpent('pretext', ASKED, epsilonSpent(mechanisms, TERMS))
  })

  it.each([
    ['in one release', (rounds: Told[]) => rounds.slice(0, 1)],
    ['in all', (rounds: Told[]) => rounds],
  ])('is refused with 0.9 of the noise %s, as it was charged or not', async (_, some) => {
    const less = await forged((rounds) => {
      for (const round of some(rounds)) round.sigma = 0.9
    })
    await expect(check(less)).rejects.toThrow(
      /expected noise of [\d.]+ grid steps, by its charge and the bound/,
    )
    const charged = await forged((rounds) => {
      for (const round of some(rounds)) Object.assign(round, { sigma: 0.9, charged: 0.9 })
    })
    await expect(check(charged)).rejects.toThrow(
      /^pretext: expected a run of epsilon 8, got one of epsilon (8\.[1-9]|9)/,
    )
  })

  it('is refused where a release is missing, also from the ledger', async () => {
    const gone = await forged((rounds) => {
      Object.assign(rounds[1] as Told, { there: false })
    })
    await expect(check(gone)).rejects.toThrow('expected the 2 releases that were charged, got 1')
    const never = await forged((rounds) => {
      Object.assign(rounds[1] as Told, { there: false, paid: false })
    })
    await expect(check(never)).rejects.toThrow('pretext: expected a run of epsilon 8, got one of epsilon 5.')
  })

  it('is refused with one release too many, also where it was charged', async () => {
    const unpaid = await forged((rounds) => {
      Object.assign(rounds[2] as Told, { there: true })
    })
    await expect(check(unpaid)).rejects.toThrow(
      'expected a release that one charge of the ledger was spent on',
    )
    const paid = await forged((rounds) => {
      Object.assign(rounds[2] as Told, { there: true, paid: true })
    })
    await expect(check(paid)).rejects.toThrow('pretext: expected a run of epsilon 8, got one of epsilon 10.')
    const twice = await forged()
    await cp(join(twice, 'rounds/0002'), join(twice, 'rounds/0003'), { recursive: true })
    await expect(check(twice)).rejects.toThrow(
      'expected a release that one charge of the ledger was spent on',
    )
  })

  it('is refused where its report tells of a smaller bound than its votes were held to', async () => {
    const copy = await forged()
    const file = join(copy, 'report.json')
    const report = JSON.parse(await readFile(file, 'utf8'))
    report.privacy.l2Bound = 0.9
    await writeFile(file, JSON.stringify(report))
    await expect(check(copy)).rejects.toThrow(
      /expected noise of [\d.]+ grid steps, by its charge and the bound/,
    )
  })
})
