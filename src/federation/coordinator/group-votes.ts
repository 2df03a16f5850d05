// Group commit: votes that arrive while a commit is under way are counted together by the next one, so that one sync to
// the disk pays for many. A vote's answer is sent only after its commit.
import type { Store, UploadedVote, VoteOutcome } from '../stores/store.ts'
import { Refusal } from './refusal.ts'

/** Statements of one transaction stay few, so that reads are not kept waiting. */
const LARGEST_GROUP = 200
/** More than these waiting would not be answered in time anyway. */
const MOST_WAITING = 5000

interface Waiting {
  readonly vote: UploadedVote
  readonly resolve: (outcome: VoteOutcome) => void
  readonly reject: (error: unknown) => void
}

export interface GroupVotes {
  cast(vote: UploadedVote): Promise<VoteOutcome>
  /** Resolves when nothing is waiting. */
  idle(): Promise<void>
}

export function groupVotes(store: Pick<Store, 'castVotes' | 'kind'>): GroupVotes {
  const waiting: Waiting[] = []
  /** The embedded database has one writer; PostgreSQL takes groups side by side. */
  const lanes = store.kind === 'postgres' ? 4 : 1
  let busy = 0
  const idlers: (() => void)[] = []

  const flush = async (): Promise<void> => {
    const group = waiting.splice(0, LARGEST_GROUP)
    if (group.length === 0) return
    try {
      const outcomes = await store.castVotes(group.map(({ vote }) => vote))
      group.forEach(({ resolve }, i) => {
        resolve(outcomes[i] as VoteOutcome)
      })
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
  }
  const lane = async (): Promise<void> => {
    busy++
    // Let the requests that have arrived already join the first group.
    await new Promise((resolve) => setImmediate(resolve))
    while (waiting.length > 0) {
      await flush()
      await new Promise((resolve) => setImmediate(resolve))
    }
    busy--
    if (busy === 0) for (const resolve of idlers.splice(0)) resolve()
  }
  return {
    cast(vote) {
      if (waiting.length >= MOST_WAITING)
        throw new Refusal('try-later', 'many votes are waiting', { 'retry-after': '1' })
      return new Promise((resolve, reject) => {
        waiting.push({ vote, resolve, reject })
        if (busy < lanes) void lane()
      })
    },
    idle: () => (busy === 0 ? Promise.resolve() : new Promise((resolve) => idlers.push(resolve))),
  }
}
