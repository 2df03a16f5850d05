// The ledger's file: a chain of entries, each holding the hash of the one before it, and `<ledger>.head` with the number
// and hash of the last. Reading it is checking it.
//
// An edited or reordered line breaks the chain; removed last lines disagree with the head, and so does a rollback of one of
// the two files. Who can rewrite both can still roll back to an old state: keep the head elsewhere against that (it is
// printed at the end of a run).
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { readIfThere } from '../durable.ts'
import { PretextError } from '../errors.ts'
import type { MechanismEvent } from './events.ts'

const noiseMultiplier = z.number().positive()
const rate = z.number().min(0).max(1)

/** Every event of events.ts. */
export const Mechanism: z.ZodType<MechanismEvent> = z.lazy(() =>
  z.discriminatedUnion('type', [
    z.strictObject({ type: z.literal('gaussian'), noiseMultiplier }),
    z.strictObject({ type: z.literal('discreteGaussian'), noiseMultiplier }),
    z.strictObject({ type: z.literal('laplace'), noiseMultiplier }),
    z.strictObject({ type: z.literal('exact') }),
    z.strictObject({ type: z.literal('poissonSampled'), rate, event: Mechanism }),
    z.strictObject({ type: z.literal('fixedSizeSampled'), rate, event: Mechanism }),
    z.strictObject({ type: z.literal('repeated'), count: z.int().positive(), event: Mechanism }),
    z.strictObject({ type: z.literal('composed'), events: z.array(Mechanism) }),
  ]),
)

export const common = {
  format: z.literal('pretext-ledger'),
  version: z.literal(1),
  number: z.int().positive(),
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
  against: z.enum(['outsiders', 'operators']).optional(),
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

export type ChargeEntry = z.infer<typeof ChargeEntry>
export type CommitEntry = z.infer<typeof CommitEntry>
export type LedgerEntry = z.infer<typeof Entry>

export const GENESIS = '0'.repeat(64)

/** Over the fields in alphabetical order, so that the order in a file does not matter. */
export function hashOf(entry: object): string {
  return createHash('sha256')
    .update(JSON.stringify(Object.entries(entry).sort()))
    .digest('hex')
}

function damaged(path: string, line: number, what: string): PretextError {
  return new PretextError(`${path}:${line}: ${what}`, {
    code: 'ledger',
    hint: 'restore the ledger and its .head file from a backup; without them the spend of this data set is unknown',
  })
}

export interface Chain {
  readonly entries: readonly LedgerEntry[]
  /** Length of the file that these entries fill. */
  readonly bytes: number
  /** Bytes of a last line that a crash cut short; it paid for nothing. */
  readonly torn: boolean
  readonly headBehind: boolean
}

/** Reads and verifies both files; absent ones are an empty ledger. */
export async function readChain(path: string): Promise<Chain> {
  const text = (await readIfThere(path)) ?? ''
  const headText = await readIfThere(`${path}.head`)
  const lines = text.split('\n')
  const last = lines.pop() ?? ''
  const entries: LedgerEntry[] = []
  let previous = GENESIS
  lines.forEach((line, i) => {
    let parsed: LedgerEntry
    try {
      parsed = Entry.parse(JSON.parse(line))
    } catch {
      throw damaged(
        path,
        i + 1,
        'expected a ledger entry, got something else: the ledger was edited or damaged',
      )
    }
    const { hash, ...body } = parsed
    if (hashOf(body) !== hash)
      throw damaged(path, i + 1, 'the entry does not match its own hash: it was edited')
    if (parsed.previous !== previous || parsed.number !== i + 1) {
      throw damaged(
        path,
        i + 1,
        'the entry does not follow the one before it: entries were removed or reordered',
      )
    }
    previous = hash
    const [first] = entries
    if (parsed.type === 'charge' && first?.type === 'charge') {
      const differs = (['dataset', 'unit', 'adjacency'] as const).find((key) => parsed[key] !== first[key])
      if (differs !== undefined) throw damaged(path, i + 1, `the entry has another ${differs} than the first`)
    }
    entries.push(parsed)
  })
  const head = parseHead(path, headText)
  // An entry is appended before the head moves, so a crash leaves the head one behind, and never ahead.
  const behind = head.number === entries.length - 1 && head.hash === (entries.at(-2)?.hash ?? GENESIS)
  const level = head.number === entries.length && head.hash === previous
  if (!behind && !level) {
    throw damaged(
      path,
      entries.length + 1,
      `the head file tells of ${head.number} entries, the ledger ends after ${entries.length}: last entries were removed, or the files are not from the same time`,
    )
  }
  return {
    entries,
    bytes: Buffer.byteLength(text) - Buffer.byteLength(last),
    torn: last !== '',
    headBehind: behind,
  }
}

function parseHead(path: string, text: string | undefined): { number: number; hash: string } {
  if (text === undefined) return { number: 0, hash: GENESIS }
  try {
    return z.strictObject({ number: z.int().nonnegative(), hash: z.string() }).parse(JSON.parse(text))
  } catch {
    throw damaged(`${path}.head`, 1, 'expected {"number", "hash"}, got something else')
  }
}
