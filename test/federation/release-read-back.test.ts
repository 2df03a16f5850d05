// A release is read back by its own parser before the ledger commits to it, whoever makes it: one server, either of two, or a
// simulation. What a crash or somebody else left beside it, and what cannot be read, never becomes the release.
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { trustedAggregation } from '../../src/federation/aggregation/trusted.ts'
import { releaseShare } from '../../src/federation/helper/release-share.ts'
import { manifestHash } from '../../src/federation/protocol/manifest.ts'
import { voteVdaf } from '../../src/federation/protocol/report-bytes.ts'
import { encodeVote } from '../../src/federation/protocol/vote-bytes.ts'
import { voteTermsOf } from '../../src/federation/protocol/vote-terms.ts'
import { ExactVotes } from '../../src/histogram/exact-votes.ts'
import { readRelease, releaseHistogram } from '../../src/histogram/release.ts'
import { releaseOnce } from '../../src/histogram/release-once.ts'
import { type Charge, charge, type LedgerTerms, readLedger } from '../../src/privacy/ledger.ts'
import { exampleManifest } from './example.ts'
import { multihotTerms, pairsOf } from './two-server-kit.ts'
import { LEDGER_TERMS } from './two-servers.ts'

const { begun } = pairsOf(afterEach)
const temporary = () => mkdtemp(join(tmpdir(), 'read-back-'))

/** Votes of so many steps that two of them are beyond a safe integer; noise that a ledger can hold. */
const HUGE = { mode: 'counts', maxTextsPerClient: 2 ** 38, neighbours: 1 } as const
const STEPS = BigInt(Number.MAX_SAFE_INTEGER)

interface Made {
  readonly file: string
  readonly ledger: string
  readonly terms: LedgerTerms
  readonly charge: Charge
  release(): Promise<unknown>
}

const places = async () => {
  const folder = await temporary()
  return { file: join(folder, 'release.json'), ledger: join(folder, 'ledger.jsonl'), terms: LEDGER_TERMS }
}

async function oneServer(): Promise<Made> {
  const mechanism = { type: 'gaussian', noiseMultiplier: 1e-4 } as const
  const manifest = exampleManifest({
    vote: voteTermsOf(HUGE, 'l2'),
    noise: { noiseMultiplier: 1e-4, unit: 'client', adjacency: 'add-remove', delta: 1e-5 },
  })
  const options = { ...(await places()), charge: { run: 'r', release: 'round-1', mechanism } }
  const vote = encodeVote({ indices: [2], steps: [STEPS] }, new Uint8Array(16))
  const round = {
    hash: manifestHash(manifest),
    manifest,
    async *uploads() {
      yield vote
      yield vote
    },
  }
  return { ...options, release: () => trustedAggregation.release(round, options) }
}

async function simulation(type: 'gaussian' | 'exact'): Promise<Made> {
  const mechanism = type === 'exact' ? ({ type } as const) : ({ type, noiseMultiplier: 1e-4 } as const)
  const options = { ...(await places()), charge: { run: 'r', release: 'round-1', mechanism } }
  const { vote } = exampleManifest({ vote: voteTermsOf(HUGE, 'l2') })
  const bound = { steps: vote.gridSteps, squared: BigInt(vote.boundSquared) }
  const count = async () => {
    const votes = new ExactVotes(8, bound, true)
    for (let n = 0; n < 2; n++) votes.add({ indices: [2], steps: [STEPS] })
    return votes
  }
  return { ...options, release: () => releaseHistogram({ ...options, count }) }
}

async function leader(): Promise<Made> {
  const { pair, hash } = await begun(3)
  await pair.close(hash)
  const { run, round, noise } = pair.terms
  const mechanism = { type: 'gaussian', noiseMultiplier: noise.noiseMultiplier } as const
  return {
    file: pair.released.leader(),
    ledger: pair.ledgers.leader,
    terms: LEDGER_TERMS,
    charge: { run, release: `round-${round}`, mechanism },
    release: () => pair.release(hash),
  }
}

async function helper(): Promise<Made> {
  const { pair, hash } = await begun(3)
  await pair.close(hash)
  const manifest = await pair.manifestOf(hash)
  const mechanism = { type: 'gaussian', noiseMultiplier: manifest.noise.noiseMultiplier } as const
  return {
    file: pair.released.helper(hash),
    ledger: pair.ledgers.helper,
    terms: LEDGER_TERMS,
    charge: { run: manifest.run, release: `round-${manifest.round}`, mechanism },
    release: () => pair.release(hash),
  }
}

const MADE = {
  'one server': oneServer,
  'a simulation with noise': () => simulation('gaussian'),
  'a simulation without noise': () => simulation('exact'),
  'the leader of two servers': leader,
  'the helper of two servers': helper,
} as const

describe.each(Object.entries(MADE))('a release of %s', (_, make) => {
  it('is committed as it can be read, whatever its numbers; one charge', async () => {
    const made = await make()
    await made.release()
    const text = await readFile(made.file, 'utf8')
    const again = await made.release()
    expect(again).toBeDefined()
    expect(await readFile(made.file, 'utf8')).toBe(text)
    expect((await readLedger(made.ledger)).map(({ type }) => type)).toEqual(['charge', 'commit'])
  })

  it.each([
    ['torn', () => '{"format":'],
    [
      'without its numbers',
      (whole: object) =>
        JSON.stringify({ ...whole, ...('share' in whole ? { share: '!' } : { steps: ['1'] }) }),
    ],
    [
      'of another size',
      (whole: object) =>
        JSON.stringify({ ...whole, ...('share' in whole ? { share: 'AAAA' } : { steps: 7 }) }),
    ],
  ])('%s, beside its charge, is drawn anew before anything is committed', async (_, spoil) => {
    const first = await make()
    await first.release()
    const whole = JSON.parse(await readFile(first.file, 'utf8')) as object

    const made = await make()
    const { entry } = await charge(made.ledger, made.terms, made.charge)
    await mkdir(dirname(made.file), { recursive: true })
    await writeFile(`${made.file}.part`, spoil({ ...whole, charge: entry.hash }))
    await made.release()
    const released = JSON.parse(await readFile(made.file, 'utf8')) as { charge: string; redrawn: boolean }
    expect([released.charge, released.redrawn]).toEqual([entry.hash, true])
    expect(existsSync(`${made.file}.part`)).toBe(false)
    expect((await readLedger(made.ledger)).map(({ type }) => type)).toEqual(['charge', 'commit'])
  })

  it('that another charge of the ledger paid for is not its release', async () => {
    const made = await make()
    await made.release()
    const text = await readFile(made.file, 'utf8')
    const other = { ...made.charge, release: 'round-9' }
    await expect(
      releaseOnce({
        ...made,
        charge: other,
        parse: (written) => JSON.parse(written) as { charge: string },
        prepare: async () => () => text,
      }),
    ).rejects.toThrow(/no entry of .* paid for this release/)
  })
})

it('sums beyond what a file can hold are cut, with one server as with two', async () => {
  for (const made of [await oneServer(), await simulation('gaussian'), await simulation('exact')]) {
    await made.release()
    const { steps } = (await readRelease(made.file)) as { steps: readonly number[] }
    expect(steps[2]).toBe(Number.MAX_SAFE_INTEGER)
    expect(steps.every(Number.isSafeInteger)).toBe(true)
  }
})

it('a share that was released and is none is refused in words', async () => {
  const options = await places()
  const { vote } = multihotTerms()
  const aggregation = {
    mode: 'two-server',
    leader: 'a',
    helper: 'b',
    multiproof: false,
    noise: 'full',
  } as const
  const manifest = exampleManifest({ aggregation, ...(vote === undefined ? {} : { vote }) })
  const share = async () => voteVdaf(manifest).aggregate([])
  const asked = { ...options, manifest, hash: 'c'.repeat(64), count: 0, checksum: '0'.repeat(64), share }
  const { bytes: _, ...file } = await releaseShare({
    ...asked,
    file: `${options.file}.other`,
    ledger: `${options.ledger}.other`,
  })
  await releaseOnce({
    ...options,
    charge: {
      run: manifest.run,
      release: 'round-1',
      mechanism: { type: 'gaussian', noiseMultiplier: manifest.noise.noiseMultiplier },
    },
    parse: (written) => JSON.parse(written) as { charge: string },
    prepare: async () => (paid) => JSON.stringify({ ...file, charge: paid.entry.hash, share: 'AAAA' }),
  })
  await expect(releaseShare(asked)).rejects.toThrow('expected a release, got something else')
})
