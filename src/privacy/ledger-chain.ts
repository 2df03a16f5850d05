// The ledger's file: a chain of entries (ledger-entries.ts), and `<ledger>.head` with the number and hash of the last. Reading it
// is checking it.
//
// An edited or reordered line breaks the chain; removed last lines disagree with the head, and so does a rollback of one of
// the two files. Who can rewrite both can still roll back to an old state: keep the head elsewhere against that (it is
// printed at the end of a run).
import { z } from 'zod'
import { readIfThere } from '../durable.ts'
import { damaged, entriesIn, GENESIS, type LedgerEntry } from './ledger-entries.ts'

export interface Chain {
  readonly entries: readonly LedgerEntry[]
  /** Length of the file that these entries fill. */
  readonly bytes: number
  /** Bytes of a last line that a crash cut short; it paid for nothing. */
  readonly torn: boolean
  readonly headBehind: boolean
}

/** Reads and verifies both files; absent ones are an empty ledger. Others may write meanwhile. */
export async function readChain(path: string): Promise<Chain> {
  let headText = await readIfThere(`${path}.head`)
  while (true) {
    const text = (await readIfThere(path)) ?? ''
    const after = await readIfThere(`${path}.head`)
    // Where the head moved, the ledger was read before or after that: only files of one moment can be compared.
    if (after === headText) return chainOf(path, text, headText)
    headText = after
  }
}

function chainOf(path: string, text: string, headText: string | undefined): Chain {
  const lines = text.split('\n')
  const last = lines.pop() ?? ''
  const entries = entriesIn(path, lines)
  const head = parseHead(path, headText)
  // An entry is appended before the head moves, so a crash leaves the head one behind, and never ahead.
  const behind = head.number === entries.length - 1 && head.hash === (entries.at(-2)?.hash ?? GENESIS)
  const level = head.number === entries.length && head.hash === (entries.at(-1)?.hash ?? GENESIS)
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
