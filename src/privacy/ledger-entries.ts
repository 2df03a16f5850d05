// The entries of a ledger, wherever they are kept: one JSON line each, holding the hash of the one before it. Reading them is
// checking them: an edited, removed or reordered line breaks the chain. Nothing of Node, so that browsers keep the same lines.
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import * as z from 'zod/mini'
import { PretextError } from '../errors.ts'
import type { MechanismEvent } from './events.ts'

const noiseMultiplier = z.number().check(z.positive())
const rate = z.number().check(z.minimum(0), z.maximum(1))
const positive = z.int().check(z.positive())

/** Every event of events.ts. */
export const Mechanism: z.ZodMiniType<MechanismEvent> = z.lazy(() =>
  z.discriminatedUnion('type', [
    z.strictObject({ type: z.literal('gaussian'), noiseMultiplier }),
    z.strictObject({ type: z.literal('discreteGaussian'), noiseMultiplier }),
    z.strictObject({ type: z.literal('laplace'), noiseMultiplier }),
    z.strictObject({ type: z.literal('exact') }),
    z.strictObject({ type: z.literal('poissonSampled'), rate, event: Mechanism }),
    z.strictObject({ type: z.literal('fixedSizeSampled'), rate, event: Mechanism }),
    z.strictObject({ type: z.literal('repeated'), count: positive, event: Mechanism }),
    z.strictObject({ type: z.literal('composed'), events: z.array(Mechanism) }),
  ]),
)

const common = {
  format: z.literal('pretext-ledger'),
  version: z.literal(1),
  number: positive,
  /** Hash of the entry before this one; 64 zeros for the first. */
  previous: z.string(),
  time: z.string(),
  hash: z.string(),
}

/** Pays for one release, before its noise is drawn. */
const ChargeEntry = z.strictObject({
  ...common,
  type: z.literal('charge'),
  dataset: z.string(),
  unit: z.enum(['client', 'record']),
  adjacency: z.enum(['add-remove', 'substitution']),
  run: z.string(),
  release: z.string(),
  mechanism: Mechanism,
  /** Against whom, where two servers add half of the noise each (two-parties.ts); everybody else leaves it out. */
  against: z.optional(z.enum(['outsiders', 'operators'])),
})

/** Binds a charge to the bytes that it paid for, before anybody can read them: there are no other bytes, ever. */
const CommitEntry = z.strictObject({
  ...common,
  type: z.literal('commit'),
  /** Hash of the charge. */
  charge: z.string(),
  /** sha256 of the released file. */
  sha256: z.string(),
})

const Entry = z.discriminatedUnion('type', [ChargeEntry, CommitEntry])

export type ChargeEntry = z.output<typeof ChargeEntry>
export type CommitEntry = z.output<typeof CommitEntry>
export type LedgerEntry = z.output<typeof Entry>

/** An entry before it is put behind the others. */
export type ChargeContent = Omit<ChargeEntry, keyof typeof common>
export type CommitContent = Omit<CommitEntry, keyof typeof common>

export const GENESIS = '0'.repeat(64)

/** Over the fields in alphabetical order, so that the order in a file does not matter. */
function hashOf(entry: object): string {
  return bytesToHex(sha256(utf8ToBytes(JSON.stringify(Object.entries(entry).sort()))))
}

/** The entry that stands behind these. */
export function entryBehind<T extends ChargeContent | CommitContent>(
  entries: readonly LedgerEntry[],
  content: T,
  time: Date,
) {
  const body = {
    format: 'pretext-ledger' as const,
    version: 1 as const,
    number: entries.length + 1,
    previous: entries.at(-1)?.hash ?? GENESIS,
    time: time.toISOString(),
    ...content,
  }
  return { ...body, hash: hashOf(body) }
}

export function damaged(where: string, line: number, what: string): PretextError {
  return new PretextError(`${where}:${line}: ${what}`, {
    code: 'ledger',
    hint: 'restore the ledger and its .head file from a backup; without them the spend of this data set is unknown',
  })
}

/** The entries in these lines. Throws PretextError `ledger` where one is not whole, or does not follow the one before. */
export function entriesIn(where: string, lines: readonly string[]): LedgerEntry[] {
  const entries: LedgerEntry[] = []
  let previous = GENESIS
  lines.forEach((line, i) => {
    let parsed: LedgerEntry
    try {
      parsed = Entry.parse(JSON.parse(line))
    } catch {
      throw damaged(
        where,
        i + 1,
        'expected a ledger entry, got something else: the ledger was edited or damaged',
      )
    }
    const { hash, ...body } = parsed
    if (hashOf(body) !== hash)
      throw damaged(where, i + 1, 'the entry does not match its own hash: it was edited')
    if (parsed.previous !== previous || parsed.number !== i + 1) {
      throw damaged(
        where,
        i + 1,
        'the entry does not follow the one before it: entries were removed or reordered',
      )
    }
    previous = hash
    const [first] = entries
    if (parsed.type === 'charge' && first?.type === 'charge') {
      const differs = (['dataset', 'unit', 'adjacency'] as const).find((key) => parsed[key] !== first[key])
      if (differs !== undefined)
        throw damaged(where, i + 1, `the entry has another ${differs} than the first`)
    }
    entries.push(parsed)
  })
  return entries
}
