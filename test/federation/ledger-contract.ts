// What a client's ledger does wherever it is kept: one suite, run on the file of Node and on the database of a browser, with one
// set of results. Nothing of Node, so that a page can run it.
import type { ClientLedger, LedgerPolicy } from '../../src/federation/client/state.ts'

export interface OpenedLedger {
  readonly ledger: ClientLedger
  /** As `pretext ledger` reads them. */
  files(): Promise<{ readonly text: string; readonly head: string }>
  /** Writes the first line anew, as somebody who wants to have spent less. */
  spoil(change: (line: string) => string): Promise<void>
  close(): Promise<void>
}

/** Opens the ledger of this name, a new one or the one that was closed. */
export type OpenLedger = (name: string, policy: LedgerPolicy) => Promise<OpenedLedger>

export const POLICY: LedgerPolicy = { epsilon: 10, delta: 1e-5, adjacency: 'add-remove' }
const gaussian = (noiseMultiplier: number) => ({ type: 'gaussian', noiseMultiplier }) as const

async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'done'
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    // Not where the ledger lies.
    return `${code}: ${message.replace(/^.*?: (?=this ledger|the entry)/, '')}`
  }
}

/** The entries as they are kept, without what time and chance put there. */
async function records({ files }: OpenedLedger): Promise<unknown[]> {
  const { text } = await files()
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const { time, hash, previous, ...rest } = JSON.parse(line)
      const forms = [
        /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(time),
        /^[0-9a-f]{64}$/.test(`${hash}`),
        previous.length,
      ]
      return [...forms, JSON.stringify(rest)]
    })
}

const record = (number: number, run: string, release: string, noise: number, against?: string) => [
  true,
  true,
  64,
  JSON.stringify({
    format: 'pretext-ledger',
    version: 1,
    number,
    type: 'charge',
    dataset: 'own-texts',
    unit: 'client',
    adjacency: 'add-remove',
    run,
    release,
    mechanism: gaussian(noise),
    ...(against === undefined ? {} : { against }),
  }),
]

interface Promised {
  readonly run: (open: OpenLedger) => Promise<unknown>
  readonly expected: unknown
}

export const CONTRACT: Readonly<Record<string, Promised>> = {
  'an empty one has spent nothing': {
    async run(open) {
      const opened = await open('empty', POLICY)
      const { ledger } = opened
      const found = [await ledger.charged(), await ledger.has('t', 'r/round-1'), await records(opened)]
      await opened.close()
      return found
    },
    expected: [[], false, []],
  },
  'keeps each charge as one record, with whom it is against': {
    async run(open) {
      const opened = await open('records', POLICY)
      const { ledger } = opened
      await ledger.charge('t', 'r/round-1', gaussian(8))
      await ledger.charge('t', 'r/round-2', gaussian(4), 'operators')
      await ledger.charge('u', 'r/round-1', gaussian(6), 'outsiders')
      const known = [await ledger.has('t', 'r/round-2'), await ledger.has('u', 'r/round-2')]
      const found = [await records(opened), await ledger.charged(), known]
      await opened.close()
      return found
    },
    expected: [
      [
        record(1, 't', 'r/round-1', 8),
        record(2, 't', 'r/round-2', 4, 'operators'),
        record(3, 'u', 'r/round-1', 6, 'outsiders'),
      ],
      [gaussian(8), gaussian(4), gaussian(6)],
      [true, false],
    ],
  },
  'is what it was when it is opened again': {
    async run(open) {
      const first = await open('again', POLICY)
      await first.ledger.charge('t', 'r/round-1', gaussian(4), 'operators')
      const before = await first.files()
      await first.close()
      const second = await open('again', POLICY)
      const after = await second.files()
      await second.ledger.charge('t', 'r/round-2', gaussian(4))
      const found = [before.text === after.text && before.head === after.head, await records(second)]
      await second.close()
      return found
    },
    expected: [true, [record(1, 't', 'r/round-1', 4, 'operators'), record(2, 't', 'r/round-2', 4)]],
  },
  'charges a release once, of twenty that come at once; other noise, or another view, is refused': {
    async run(open) {
      const opened = await open('once', POLICY)
      const { ledger } = opened
      const charge = (n: number) => ledger.charge('t', `r/round-${n % 4}`, gaussian(8), 'operators')
      await Promise.all(Array.from({ length: 20 }, (_, n) => charge(n)))
      const refused = [
        await failure(ledger.charge('t', 'r/round-1', gaussian(7), 'operators')),
        await failure(ledger.charge('t', 'r/round-1', gaussian(8), 'outsiders')),
        await failure(ledger.charge('t', 'r/round-1', gaussian(8))),
      ]
      const releases = (await records(opened)).map(
        (found) => JSON.parse((found as string[])[3] as string).release,
      )
      await opened.close()
      return [releases.sort(), refused]
    },
    expected: [
      ['r/round-0', 'r/round-1', 'r/round-2', 'r/round-3'],
      Array(3).fill('ledger: release r/round-1 of run t was charged with other noise'),
    ],
  },
  'refuses what its owner’s policy does not allow, whoever asks, and keeps nothing of it': {
    async run(open) {
      const opened = await open('budget', { ...POLICY, epsilon: 1 })
      const { ledger } = opened
      await ledger.charge('t', 'r/round-1', gaussian(8))
      const refused = await failure(ledger.charge('t', 'r/round-2', gaussian(1)))
      const broken = await failure(ledger.charge('t', 'r/round-2', gaussian(Number.NaN)))
      const found = [refused, broken.split(':')[0], await records(opened)]
      await opened.close()
      return found
    },
    expected: [
      'budget: the release would bring data set "own-texts" to epsilon 4.4167, over its budget of 1 at delta 0.00001 (spent so far: 0.4344)',
      'config',
      [record(1, 't', 'r/round-1', 8)],
    ],
  },
  'is of one adjacency': {
    async run(open) {
      const first = await open('terms', POLICY)
      await first.ledger.charge('t', 'r/round-1', gaussian(8))
      await first.close()
      const second = await open('terms', { ...POLICY, adjacency: 'substitution' })
      const found = [
        await failure(second.ledger.charge('t', 'r/round-2', gaussian(8))),
        await records(second),
      ]
      await second.close()
      return found
    },
    expected: [
      'ledger: this ledger holds adjacency "add-remove", the run wants adjacency "substitution"',
      [record(1, 't', 'r/round-1', 8)],
    ],
  },
  'an entry that was edited is found, and nothing is charged behind it': {
    async run(open) {
      const opened = await open('edited', POLICY)
      const { ledger } = opened
      await ledger.charge('t', 'r/round-1', gaussian(2))
      await ledger.charge('t', 'r/round-2', gaussian(8))
      await opened.spoil((line) => line.replace('"noiseMultiplier":2', '"noiseMultiplier":9'))
      const found = [
        await failure(ledger.charged()),
        await failure(ledger.has('t', 'r/round-1')),
        await failure(ledger.charge('t', 'r/round-3', gaussian(8))),
      ]
      await opened.close()
      return found
    },
    expected: Array(3).fill('ledger: the entry does not match its own hash: it was edited'),
  },
}
