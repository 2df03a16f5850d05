// What two servers hold, say and keep of a vote, byte by byte: no text in any form, no candidate in a log or an error, and on
// either disk a share that looks like chance, whatever was voted for.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { matrix } from '../../src/embeddings/matrix.ts'
import { publishRelease } from '../../src/federation/coordinator/collect.ts'
import { decodeReport, voteVdaf } from '../../src/federation/protocol/report-bytes.ts'
import { openKeyRing } from '../../src/federation/verification/aggregator-keys.ts'
import { CANARY, filesBelow, leaksIn, sentence } from '../run/workspace.ts'
import { openedRound } from './example.ts'
import { exactSum, flipped, leaderRequest, multihotTerms, pairsOf, problemOf } from './two-server-kit.ts'
import { enrolledClient, twoServers } from './two-servers.ts'

const { begun } = pairsOf(afterEach)

/** Sum of squares of the deviations of byte counts; above 377 once in a million uniform samples (255 degrees). */
function chiSquare(bytes: Uint8Array): number {
  const counts = new Array<number>(256).fill(0)
  for (const byte of bytes) counts[byte] = (counts[byte] as number) + 1
  const expected = bytes.length / 256
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
}
const UNIFORM = 377

describe('the shares on the two disks', () => {
  it.each([false, true])(
    'look like chance, though everybody votes for the same candidate (multiproof %s)',
    async (multiproof) => {
      // 512 sums, of which 511 are zero.
      const terms = multihotTerms({ candidates: matrix(512, 256), openSeconds: 600 })
      const { pair, hash } = await begun(0, { multiproof, terms })
      for (let n = 0; n < 4; n++) expect((await pair.voteOf(hash, n, [407])).status).toBe(200)
      const uploads: Uint8Array[] = []
      for await (const upload of pair.store.votes(hash)) uploads.push(upload)
      await pair.close(hash)
      const { sum } = await exactSum(pair, hash)
      expect(sum[407]).toBe(4)
      const vdaf = voteVdaf(await pair.manifestOf(hash))
      const [leader] = await pair.store.jobs(hash)
      const [helper] = await pair.atHelper.results(hash)
      const { histogram } = await pair.release(hash)
      expect(histogram.steps).toHaveLength(512)
      for (const [name, bytes] of Object.entries({
        'the leader’s sum': leader?.share,
        'the helper’s sum': helper?.share,
        'boxes for the leader': Buffer.concat(uploads.map((one) => decodeReport(vdaf, one).leader.box)),
      }))
        expect(chiSquare(bytes as Uint8Array), name).toBeLessThan(UNIFORM)
      // The same test sees a sum that is not shared.
      const open = vdaf.addIntegers(new Uint8Array(vdaf.sizes.aggregateShare), sum)
      expect(chiSquare(open)).toBeGreaterThan(100 * UNIFORM)
    },
  )

  it('say nothing of the vote by their length, nor by what the two tell each other', async () => {
    const { pair, hash } = await begun(0)
    const lengths = new Set<number>()
    for (const [n, places] of [[], [0], [5, 6, 7]].entries()) {
      await pair.enrol(n)
      const report = await pair.reportOf(hash, n, places)
      lengths.add(report.length)
      expect((await pair.upload(hash, n, report)).status).toBe(200)
    }
    expect(lengths.size).toBe(1)
    await pair.close(hash)
    await pair.release(hash)
    // A message of a job: a check that passed, which is as long for everybody.
    for (const { response } of pair.asked) expect(response.status).toBe(200)
    expect(pair.events).toEqual([])
  })
})

describe('after a round', () => {
  it.each(['released', 'refused'])('that was %s neither disk holds an upload or a share', async (state) => {
    const enough = state === 'released'
    const { pair, hash } = await begun(0, {
      terms: multihotTerms({
        candidates: matrix(256, 256),
        openSeconds: 600,
        cohort: { minimum: enough ? 2 : 5, target: null, seats: null },
      }),
    })
    for (let n = 0; n < 4; n++) expect((await pair.voteOf(hash, n, [n])).status).toBe(200)
    const uploads: Uint8Array[] = []
    for await (const upload of pair.store.votes(hash)) uploads.push(upload)
    const secrets = uploads.map((upload) => upload.subarray(1000, 1060))
    const holding = () =>
      filesBelow(pair.folder)
        .filter((file) => /\.db/.test(file))
        .map((file) => readFileSync(file))
        .some((bytes) => secrets.some((secret) => bytes.includes(Buffer.from(secret))))
    expect(holding()).toBe(true)
    if (enough) {
      await pair.close(hash)
      const shares = [...(await pair.store.jobs(hash)), ...(await pair.atHelper.results(hash))]
      expect(shares).toHaveLength(2)
      secrets.push(...shares.map(({ share }) => share.subarray(64, 128)))
      await pair.release(hash)
      await publishRelease(pair.coordinator, hash, readFileSync(pair.released.leader()))
    } else await expect(pair.close(hash)).rejects.toThrow('expected at least 5 clients to vote')
    expect(holding()).toBe(false)
  })
})

describe('errors and events', () => {
  it('quote no piece of a report, a share or a key, and name no candidate', async () => {
    const terms = multihotTerms({ candidates: matrix(512, 256), openSeconds: 600 })
    const { pair, hash } = await begun(0, { terms })
    await pair.enrol(0)
    const report = await pair.reportOf(hash, 0, [407, 411])
    const said: string[] = []
    // A report's own signature is checked by the helper, which leaves it out of the sum; the leader gives a receipt.
    await pair.enrol(3)
    const spoilt = flipped(await pair.reportOf(hash, 3, [407, 411]), 8 * 60)
    expect((await pair.upload(hash, 3, spoilt)).status).toBe(200)
    for (const body of [
      flipped(report, 3),
      report.slice(1),
      new Uint8Array([...report, 1]),
      new Uint8Array(report.length),
    ]) {
      const answer = await pair.upload(hash, 0, body)
      expect(answer.status).toBeGreaterThanOrEqual(400)
      said.push(JSON.stringify(await problemOf(answer)))
    }
    const stranger = await openKeyRing(join(pair.folder, 'stranger.keys'))
    for (const change of [{}, { keys: stranger }, { contentType: 'text/plain' }]) {
      const request = await leaderRequest(pair, `/v1/rounds/${hash}/jobs/0`, report, change)
      said.push(await (await pair.askHelper(request)).text())
    }
    expect((await pair.upload(hash, 0, report)).status).toBe(200)
    for (let n = 1; n < 3; n++) await pair.voteOf(hash, n, [407])
    await pair.close(hash)
    await pair.release(hash)
    const output = [...said, ...pair.events].join('\n')
    for (let at = 0; at + 12 <= report.length; at += 12) {
      const piece = Buffer.from(report.subarray(at, at + 12))
      for (const form of [piece.toString('hex'), piece.toString('base64'), piece.toString('base64url')])
        expect(output.includes(form)).toBe(false)
    }
    expect(output).not.toMatch(/\b(407|411)\b/)
    expect(output).not.toContain('ptx1_')
  })
})

describe('texts with a canary', () => {
  it('leave no trace at leader or helper: on the wire, between the two, on the disks, in what they say', async () => {
    const wire: string[] = []
    const overheard =
      (name: string) =>
      (fetch: typeof globalThis.fetch): typeof globalThis.fetch =>
      async (input, init) => {
        const request = new Request(input, init)
        const body = Buffer.from(await (request.clone() as Request).arrayBuffer()).toString('latin1')
        wire.push(`${name} ${request.method} ${request.url}\n${[...request.headers].join('\n')}\n${body}`)
        const answer = await fetch(request)
        wire.push(Buffer.from(await (answer.clone() as Response).arrayBuffer()).toString('latin1'))
        return answer
      }
    const said: string[] = []
    const servers = await twoServers({
      terms: { cohort: { minimum: 2, target: 3, seats: 3 } },
      between: overheard('leader to helper'),
      coordinator: { onEvent: (event) => said.push(JSON.stringify(event)) },
    })
    const { coordinator, release } = servers
    const { hash, closed } = await openedRound(coordinator, servers.terms)
    for (let n = 0; n < 3; n++) {
      // The texts of the workspace whose forms `leaksIn` knows.
      const texts = Array.from({ length: 3 }, (_, t) => sentence(1000 + n * 10 + t, `${CANARY}${n}`))
      expect(leaksIn(texts.join('\n'))).not.toEqual([])
      const client = await enrolledClient(servers, { fetch: overheard('client')(servers.fetch) })
      for await (const event of client.participate({ texts }, { rounds: 1 })) said.push(event.type)
    }
    const round = await closed
    await coordinator.aggregation.release(round, release)
    const { readFile } = await import('node:fs/promises')
    const files = await Promise.all(
      filesBelow(servers.folder).map(async (file) => `${file}\n${await readFile(file, 'latin1')}`),
    )
    await publishRelease(coordinator, hash, await readFile(release.file))
    expect(wire.filter((one) => one.startsWith('leader to helper')).length).toBeGreaterThanOrEqual(3)
    expect(files.length).toBeGreaterThanOrEqual(6)
    for (const content of [...wire, ...files, ...said]) expect(leaksIn(content)).toEqual([])
  })
})
