// A round that nobody sees the votes of: a leader, a helper, and clients as in trusted mode.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { sumVotes, trustedAggregation } from '../../src/federation/aggregation/trusted.ts'
import { publishRelease } from '../../src/federation/coordinator/collect.ts'
import { encodeVote } from '../../src/federation/protocol/vote-bytes.ts'
import { exactSums } from '../../src/histogram/exact-votes.ts'
import { chargesIn, readLedger } from '../../src/privacy/ledger.ts'
import { sentence } from '../run/workspace.ts'
import { enrolAll, exampleManifest, openedRound } from './example.ts'
import { enrolledClient, exactSum, MULTIHOT, reportOf, twoServers, upload } from './two-servers.ts'

const own = (n: number) => ({ texts: Array.from({ length: 3 }, (_, i) => sentence(1000 + n * 10 + i)) })

describe('a round of two servers', () => {
  it('with clients of Node: verified by both, charged by both, released once', async () => {
    const servers = await twoServers({ terms: { cohort: { minimum: 2, target: 3, seats: 3 } } })
    const { coordinator, store, release } = servers
    const { hash, closed } = await openedRound(coordinator, servers.terms)
    for (let n = 0; n < 3; n++) {
      const client = await enrolledClient(servers)
      const events = []
      for await (const event of client.participate(own(n), { rounds: 1 })) events.push(event.type)
      expect(events).toEqual(['task', 'round', 'voted', 'finished'])
    }
    const round = await closed
    const exact = await exactSum(servers, hash)
    expect(exact.reduce((a, b) => a + b)).toBeGreaterThanOrEqual(3)
    const { histogram } = await coordinator.aggregation.release(round, release)
    expect(histogram.steps).toHaveLength(8)
    // Noise of both: sigma 2 x sqrt(4), and the root of 2 of it in all.
    expect(histogram.sigma).toBeCloseTo(4 * Math.SQRT2, 2)
    for (const [i, steps] of histogram.steps.entries())
      expect(Math.abs(steps - (exact[i] as number))).toBeLessThan(60)
    const again = await coordinator.aggregation.release(round, release)
    expect(again.histogram.steps).toEqual(histogram.steps)
    for (const who of ['leader', 'helper'])
      expect(chargesIn(await readLedger(join(servers.folder, who, 'ledger.jsonl')))).toHaveLength(1)
    await publishRelease(coordinator, hash, await readFile(release.file))
    // Both have forgotten their shares.
    expect(await store.jobs(hash)).toEqual([])
    expect(await servers.rounds.store.results(hash)).toEqual([])
    for await (const left of store.votes(hash)) expect(left).toHaveLength(0)
    expect(await readdir(join(servers.folder, 'helper', 'releases'))).toEqual([`${hash}.json`])
  })

  it.each([false, true])(
    'gives the exact sum of trusted mode on the same votes, bit for bit (multiproof %s)',
    async (multiproof) => {
      const votes = [[0], [0, 3], [1, 2, 3, 7], [5, 6], [0, 1, 2, 3]]
      const servers = await twoServers({ multiproof, jobSize: 2 })
      const { hash, closed } = await openedRound(servers.coordinator, servers.terms)
      await enrolAll(servers.store, votes.length)
      for (const [n, indices] of votes.entries()) {
        const answer = await upload(servers, hash, n, await reportOf(servers, hash, n, indices))
        expect([answer.status, await answer.text()]).toEqual([200, expect.stringContaining(hash)])
      }
      await servers.store.closeRound(hash)
      servers.coordinator.clock.now()
      const round = {
        hash,
        manifest: (await servers.coordinator.manifest(hash)) as never,
        uploads: () => servers.store.votes(hash),
      }
      expect(await servers.coordinator.aggregation.counted?.(round)).toBe(5)
      closed.catch(() => {})
      const manifest = exampleManifest({ vote: MULTIHOT })
      const uploads = votes.map((indices) =>
        encodeVote({ indices, steps: indices.map(() => 1n) }, new Uint8Array(16)),
      )
      const trusted = await sumVotes({
        hash,
        manifest,
        async *uploads() {
          yield* uploads
        },
      })
      expect(trustedAggregation.terms.mode).toBe('trusted')
      expect(await exactSum(servers, hash)).toEqual([...exactSums(trusted)].map(Number))
    },
  )
})
