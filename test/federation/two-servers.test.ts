// A round that nobody sees the votes of: a leader, a helper, and clients as in trusted mode.
import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { sumVotes, trustedAggregation } from '../../src/federation/aggregation/trusted.ts'
import { mechanismOf } from '../../src/federation/client/policy.ts'
import { collectRound, publishRelease } from '../../src/federation/coordinator/collect.ts'
import type { Manifest } from '../../src/federation/protocol/manifest.ts'
import { encodeVote } from '../../src/federation/protocol/vote-bytes.ts'
import { exactSums } from '../../src/histogram/exact-votes.ts'
import { epsilonOf } from '../../src/privacy/accountant.ts'
import { chargesIn, readLedger, spentEpsilon } from '../../src/privacy/ledger.ts'
import { seededRandom } from '../../src/random.ts'
import { planRun } from '../../src/run/plan.ts'
import { runCli, sentence } from '../run/workspace.ts'
import { enrolAll, exampleManifest, exampleTerms, openedRound } from './example.ts'
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

  it('with half of the noise from each: the release has all of it, and each ledger says what its own half is worth', async () => {
    const cohort = { minimum: 2, target: 3, seats: 3 }
    const noise = { ...exampleTerms({}).noise, noiseMultiplier: 4 }
    const servers = await twoServers({ noise: 'half', terms: { cohort, noise } })
    const { coordinator, release, folder } = servers
    const { hash, closed } = await openedRound(coordinator, servers.terms)
    const objections: string[] = []
    for (let n = 0; n < 3; n++) {
      const client = await enrolledClient(servers)
      for await (const event of client.participate(own(n), { rounds: 1 })) objections.push(event.type)
    }
    expect(objections.filter((type) => type === 'voted')).toHaveLength(3)
    const exact = await exactSum(servers, await closed.then((round) => round.hash))
    const mechanism = { type: 'gaussian', noiseMultiplier: 4 } as const
    const { histogram } = await coordinator.aggregation.release(await closed, {
      ...release,
      charge: { ...release.charge, mechanism },
    })
    // 4 x sqrt(4) votes in all, as one server alone would add.
    expect(histogram.sigma).toBeGreaterThanOrEqual(8)
    expect(histogram.sigma).toBeCloseTo(8, 2)
    for (const [i, steps] of histogram.steps.entries())
      expect(Math.abs(steps - (exact[i] as number))).toBeLessThan(80)
    const charged = async (who: string) =>
      chargesIn(await readLedger(join(folder, who, 'ledger.jsonl'))).map((entry) => entry.mechanism)
    expect(await charged('leader')).toEqual([mechanism])
    expect(await charged('helper')).toEqual([
      { type: 'gaussian', noiseMultiplier: expect.closeTo(4 / Math.SQRT2, 9) },
    ])
    // Each ledger says against whom its figure holds, and gives the other one as well.
    for (const [who, against] of [
      ['leader', 'outsiders'],
      ['helper', 'operators'],
    ] as const) {
      const file = join(folder, who, 'ledger.jsonl')
      const entries = await readLedger(file)
      expect(chargesIn(entries).map((entry) => entry.against)).toEqual([against])
      const of = (noiseMultiplier: number) => epsilonOf([{ type: 'gaussian', noiseMultiplier }], 1e-5)
      expect(spentEpsilon(entries, 1e-5, 'outsiders')).toBeCloseTo(of(4), 9)
      expect(spentEpsilon(entries, 1e-5, 'operators')).toBeCloseTo(of(4 / Math.SQRT2), 9)
      const { stdout } = await runCli(['ledger', 'show', file, '--delta', '1e-5'], { cwd: folder })
      expect(stdout).toContain(against === 'outsiders' ? 'outsiders' : 'either server ')
      expect(stdout).toContain(
        `spent: epsilon ${of(4).toFixed(4)} at delta 0.00001 against whoever sees the noise of both servers`,
      )
      expect(stdout).toContain(
        `spent: epsilon ${of(4 / Math.SQRT2).toFixed(4)} at delta 0.00001 against either of the two servers`,
      )
    }
    // What a client pays is what the server that sees most of it sees.
    const manifest = (await coordinator.manifest(hash)) as Manifest
    expect(mechanismOf(manifest)).toEqual({
      type: 'gaussian',
      noiseMultiplier: expect.closeTo(4 / Math.SQRT2, 9),
    })
  })

  it('halves that are too small to count together are refused before anything is charged', async () => {
    const servers = await twoServers({
      noise: 'half',
      terms: { cohort: { minimum: 2, target: 2, seats: 2 } },
    })
    const { coordinator, release, folder } = servers
    const { closed } = await openedRound(coordinator, servers.terms)
    for (let n = 0; n < 2; n++)
      for await (const { type } of (await enrolledClient(servers)).participate(own(n), { rounds: 1 }))
        expect(type).not.toBe('refused')
    // 2 x sqrt(4) / sqrt(2) = 2.83 votes; the helper says no first.
    await expect(coordinator.aggregation.release(await closed, release)).rejects.toThrow('the helper')
    for (const who of ['leader', 'helper'])
      expect(chargesIn(await readLedger(join(folder, who, 'ledger.jsonl')))).toEqual([])
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

describe('the line between the servers', () => {
  it('may lose requests and answers, and send twice: 20 histories, nothing is lost, doubled or drawn again', async () => {
    const servers = await twoServers({
      jobSize: 2,
      patienceMs: 1e9,
      clock: { now: () => Date.now(), sleep: () => new Promise((resolve) => setTimeout(resolve, 1)) },
      between: (line) => async (input, init) => {
        const copy = () => line(input, init === undefined ? init : { ...init, signal: null })
        const fate = random.next()
        if (fate < 0.2) throw new TypeError('fetch failed')
        if (fate < 0.3) await copy()
        const answer = await copy()
        if (fate > 0.8) throw new TypeError('fetch failed')
        return answer
      },
    })
    const random = seededRandom(7, 'line')
    await enrolAll(servers.store, 5)
    for (let history = 1; history <= 20; history++) {
      const stop = new AbortController()
      const terms = { ...servers.terms, run: `run-${history}` }
      const { hash } = await openedRound(servers.coordinator, terms, stop.signal)
      stop.abort()
      const votes = Array.from({ length: 5 }, () =>
        random.sample([0, 1, 2, 3, 4, 5, 6, 7], 1 + random.integer(4)),
      )
      const sums = new Array<number>(8).fill(0)
      for (const [n, vote] of votes.entries()) {
        const indices = [...vote].sort((a, b) => a - b)
        for (const i of indices) sums[i] = (sums[i] as number) + 1
        const report = await reportOf(servers, hash, n, indices)
        // Before the first answer of the helper its keys are not known: 503, and the client asks again.
        for (let status = 503; status !== 200; status = (await upload(servers, hash, n, report)).status)
          expect(status).toBe(503)
      }
      await servers.store.closeRound(hash)
      const round = await collectRound(servers.coordinator, terms)
      expect(await exactSum(servers, hash)).toEqual(sums)
      const release = {
        ...servers.release,
        file: join(servers.folder, `${history}.json`),
        charge: { ...servers.release.charge, run: terms.run },
      }
      const { redrawn } = await servers.coordinator.aggregation.release(round, release)
      expect(redrawn).toBe(false)
      await publishRelease(servers.coordinator, hash, await readFile(release.file))
    }
    const charges = chargesIn(await readLedger(join(servers.folder, 'helper', 'ledger.jsonl')))
    expect(charges).toHaveLength(20)
  })
})

describe('the plan of two servers', () => {
  it('spends what a trusted one spends, and shows the noise of both', async () => {
    const file = resolve(import.meta.dirname, '../../configs/two-server.yaml')
    const [both, one] = await Promise.all(
      ['two-server', 'trusted'].map(async (mode) =>
        planRun(await loadConfig(file, { set: [`federation.mode=${mode}`] })),
      ),
    )
    expect(both?.noise.epsilon).toBe(one?.noise.epsilon)
    expect(both?.sigmaVotes).toBeCloseTo((one?.sigmaVotes as number) * Math.SQRT2, 9)
  })

  it('is refused without votes that can be proven', async () => {
    const file = resolve(import.meta.dirname, '../../configs/two-server.yaml')
    await expect(loadConfig(file, { set: ['histogram.vote=normalised'] })).rejects.toThrow(
      'two servers prove multihot votes: set vote: multihot, got vote: normalised',
    )
    await expect(loadConfig(file, { set: ['federation.leader.identity=ptx1_short'] })).rejects.toThrow(
      'expected an identity (ptx1_ and 91 characters)',
    )
  })
})
