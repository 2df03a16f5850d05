// The clock of rounds in a process of a test: the deadline of the open round comes once so many have voted. So a round is
// open for as long as a slow machine needs, and no test waits for the end of it. Requests keep the machine's own time.
import { type Clock, systemClock } from '../../src/federation/clock.ts'
import type { Store } from '../../src/federation/stores/store.ts'

export function roundClock(store: Store): {
  readonly clock: Clock
  afterVotes(count: number): Promise<void>
} {
  let ahead = 0
  return {
    clock: { ...systemClock, now: () => systemClock.now() + ahead },
    async afterVotes(count) {
      for (;;) {
        const open = (await store.rounds()).find(({ state }) => state === 'open')
        if (open !== undefined && (await store.voters(open.manifest)) >= count) {
          ahead = open.deadline - systemClock.now()
          return
        }
        await systemClock.sleep(100)
      }
    },
  }
}
