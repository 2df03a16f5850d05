// kill -9 of leader, helper or both at random moments of real rounds, under uploads, in aggregation and in the release: no
// acknowledged report is lost, none is counted twice, each ledger has one charge a release, and what was released is the same
// bytes for ever. PRETEXT_KILLS sets how often; docs/federation.md has what 50 gave.
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { helperConnection } from '../../src/federation/aggregation/helper-connection.ts'
import { clientIdentity } from '../../src/federation/client/identity.ts'
import { sealReport, shareVote } from '../../src/federation/client/shares.ts'
import { helperStore } from '../../src/federation/helper/helper-store.ts'
import { KeysSchema } from '../../src/federation/protocol/aggregator.ts'
import { sha256Hex, toBase64Url } from '../../src/federation/protocol/bytes.ts'
import { type Manifest, parseManifest } from '../../src/federation/protocol/manifest.ts'
import { REPORT_TYPE, voteVdaf } from '../../src/federation/protocol/report-bytes.ts'
import { BODY_HEADER, signRequest } from '../../src/federation/protocol/signing.ts'
import { embeddedDatabase } from '../../src/federation/stores/embedded.ts'
import { sqlStore } from '../../src/federation/stores/sql-store.ts'
import { openKeyRing } from '../../src/federation/verification/aggregator-keys.ts'
import { joinedResults } from '../../src/federation/verification/jobs.ts'
import { readRelease } from '../../src/histogram/release.ts'
import { chargesIn, readLedger } from '../../src/privacy/ledger.ts'
import { seededRandom } from '../../src/random.ts'
import { client, enrolAll, SPOKEN } from './example.ts'

const KILLS = Number(process.env.PRETEXT_KILLS ?? 12)
/** Each round is killed in twice under uploads, three times in aggregation, and once in its release. */
const [UPLOADING, AGGREGATING, RELEASING] = [2, 3, 1]
const ROUNDS = Math.ceil(KILLS / (UPLOADING + AGGREGATING + RELEASING))
const CLIENTS = 48

type Role = 'leader' | 'helper'
interface Running {
  readonly process: ChildProcess
  /** The next line with this word, from now on. */
  said(word: string): Promise<Record<string, unknown> | undefined>
}

let folder: string
let program: string
const ports: Record<Role, string> = { leader: '0', helper: '0' }
const running: Partial<Record<Role, Running>> = {}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'two-kill-'))
  // One file, so that a start takes a fraction of a second; beside what is built, from where its packages are found.
  program = resolve(import.meta.dirname, `../../dist/two-server-child-${process.pid}.mjs`)
  await build({
    entryPoints: [join(import.meta.dirname, 'two-server-child.ts')],
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'error',
  })
})
afterAll(async () => {
  await rm(program, { force: true })
  for (const one of Object.values(running)) one.process.kill('SIGKILL')
})

async function start(role: Role): Promise<Record<string, unknown>> {
  const helperUrl = `http://127.0.0.1:${ports.helper}`
  const args = [program, role, folder, String(CLIENTS), ports[role], helperUrl]
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin?.on('error', () => {})
  const lines: Record<string, unknown>[] = []
  const wakers: (() => void)[] = []
  let over = false
  const wake = () => {
    for (const one of wakers.splice(0)) one()
  }
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    lines.push(JSON.parse(line) as Record<string, unknown>)
    wake()
  })
  child.once('exit', () => {
    over = true
    wake()
  })
  const own: Running = {
    process: child,
    async said(word) {
      for (;;) {
        const at = lines.findIndex((line) => word in line)
        if (at >= 0) return lines.splice(at, 1)[0]
        if (over) return undefined
        await new Promise<void>((done) => wakers.push(done))
      }
    },
  }
  running[role] = own
  const ready = await own.said('url')
  if (ready === undefined) throw new Error(`the ${role} did not start`)
  ports[role] = new URL(String(ready.url)).port
  return ready
}

async function kill(roles: readonly Role[]): Promise<void> {
  await Promise.all(
    roles.map(async (role) => {
      const { process: child } = running[role] as Running
      const dead = new Promise((done) => child.once('exit', done))
      child.kill('SIGKILL')
      await dead
    }),
  )
}
const say = (line: string) => running.leader?.process.stdin?.write(`${line}\n`)
const bytesIn = (file: string) => {
  try {
    return readFileSync(file)
  } catch {
    return undefined
  }
}

describe('two aggregators that are killed', () => {
  it(
    `${KILLS} times lose no acknowledged report and count none twice`,
    async () => {
      const random = seededRandom(Number(process.env.PRETEXT_SEED ?? 1), 'two-server kills')
      const enrolling = await sqlStore(await embeddedDatabase(join(folder, 'leader.db')))
      await enrolAll(enrolling, CLIENTS)
      await enrolling.close()
      const [leaderKeys, helperKeys] = await Promise.all(
        ['leader', 'helper'].map((role) => openKeyRing(join(folder, `${role}.keys`))),
      )
      await start('helper')
      let ready = await start('leader')
      const deaths: string[] = []
      /** Kills one of the two or both after a random time, and starts them again. */
      const strike = async (when: string, within: number) => {
        if (deaths.length >= KILLS) return
        await new Promise((done) => setTimeout(done, random.integer(within)))
        const roles = random.pick<readonly Role[]>([['leader'], ['helper'], ['leader', 'helper']])
        deaths.push(`${when}: ${roles.join(' and ')}`)
        await kill(roles)
        // Either may be there first; a leader that has a round to show waits for the helper.
        const order = random.next() < 0.5 ? roles : [...roles].reverse()
        const back = await Promise.all(order.map(async (role) => ({ role, line: await start(role) })))
        ready = back.find(({ role }) => role === 'leader')?.line ?? ready
      }

      for (let round = 1; round <= ROUNDS; round++) {
        const hash = String(ready.hash)
        const task = String(ready.task)
        expect(ready.round).toBe(round)
        const url = () => `http://127.0.0.1:${ports.leader}`
        const blob = new Uint8Array(await (await fetch(`${url()}/v1/blobs/${hash}`)).arrayBuffer())
        const manifest: Manifest = parseManifest(blob, hash)
        const keys = KeysSchema.parse(await (await fetch(`${url()}/v1/keys`, { headers: SPOKEN })).json())
        const reports = await Promise.all(
          Array.from({ length: CLIENTS }, async (_, n) =>
            // Each client votes for a candidate of its own: a sum tells whose report is in it, and how often.
            sealReport(manifest, hash, shareVote(manifest, hash, { indices: [n], steps: [1n] }), {
              keys,
              identity: await clientIdentity(client(n).secretKey),
              now: Date.now(),
            }),
          ),
        )
        const upload = async (n: number) => {
          const path = `/v1/rounds/${hash}/vote`
          const body = reports[n] as Uint8Array
          const nonce = toBase64Url(randomBytes(16))
          const parts = { task, method: 'PUT', path, body, time: Date.now(), nonce }
          const headers = {
            ...SPOKEN,
            authorization: signRequest(client(n), parts),
            [BODY_HEADER]: sha256Hex(body),
            'content-type': REPORT_TYPE,
          }
          const sent = fetch(`${url()}${path}`, { method: 'PUT', headers, body: new Uint8Array(body) })
          return (await sent.catch(() => undefined))?.status
        }

        // Uploads, eight at a time, every fifth client twice, while they are killed.
        const acknowledged = new Set<number>()
        for (let part = 0; part <= UPLOADING; part++) {
          const own = Array.from({ length: CLIENTS }, (_, n) => n).filter((n) => n % (UPLOADING + 1) === part)
          const worker = async () => {
            for (let n = own.shift(); n !== undefined; n = own.shift())
              for (let time = 0; time < (n % 5 === 0 ? 2 : 1); time++)
                if ((await upload(n)) === 200) acknowledged.add(n)
          }
          const work = Promise.all(Array.from({ length: 8 }, worker))
          if (part < UPLOADING) await strike(`round ${round}, uploads`, 120)
          await work
        }
        // Clients whose answer was lost ask again, as pretext join does; every third of them never comes back.
        for (let n = 0; n < CLIENTS; n++)
          if (!acknowledged.has(n) && n % 3 !== 0 && (await upload(n)) === 200) acknowledged.add(n)
        expect(acknowledged.size).toBeGreaterThan(CLIENTS / 2)

        // Aggregation: a leader that dies goes on by itself, since its round is closed.
        say('close')
        for (let i = 0; i < AGGREGATING; i++) {
          const before = ready
          await strike(`round ${round}, aggregation`, 400)
          // It may have died before it heard the word.
          if (ready !== before && ready.state === 'open') say('close')
        }
        expect(await running.leader?.said('verified')).toBeDefined()
        // Only somebody with both databases can put the exact sum together.
        const [own, other] = [
          await sqlStore(await embeddedDatabase(join(folder, 'leader.db'))),
          await helperStore(await embeddedDatabase(join(folder, 'helper.db'))),
        ]
        const [leaders, helpers] = [await own.jobs(hash), await other.results(hash)].map((jobs) =>
          joinedResults({ manifest, hash }, jobs),
        ) as [ReturnType<typeof joinedResults>, ReturnType<typeof joinedResults>]
        await own.close()
        await other.close()
        expect(leaders.accepted).toBe(helpers.accepted)
        expect(leaders.checksum).toEqual(helpers.checksum)
        const vdaf = voteVdaf(manifest)
        const sums = vdaf.unshard([leaders.share, helpers.share], leaders.accepted)
        sums.forEach((sum, n) => {
          if (acknowledged.has(n)) expect(sum, `round ${round}, client ${n}`).toBe(1)
          else expect([0, 1], `round ${round}, client ${n}`).toContain(sum)
        })
        expect(sums.reduce((a, b) => a + b)).toBe(leaders.accepted)

        // The release, killed once in the middle of it. What lies there once, lies there for ever.
        const shareFile = join(folder, 'shares', `${hash}.json`)
        const releaseFile = join(folder, `release-${round}.json`)
        say('release')
        for (let i = 0; i < RELEASING; i++) await strike(`round ${round}, release`, 150)
        const before = { share: bytesIn(shareFile), release: bytesIn(releaseFile) }
        if (ready.round === round) {
          say('release')
          ready = (await running.leader?.said('hash')) as Record<string, unknown>
        }
        const after = { share: bytesIn(shareFile), release: bytesIn(releaseFile) }
        if (before.share !== undefined) expect(after.share).toEqual(before.share)
        if (before.release !== undefined) expect(after.release).toEqual(before.release)
        // Asked again, the helper gives the bytes that it gave.
        const connection = helperConnection({
          url: `http://127.0.0.1:${ports.helper}`,
          identity: (await (helperKeys as NonNullable<typeof helperKeys>).current()).identity,
          keys: leaderKeys as NonNullable<typeof leaderKeys>,
        })
        const asked = { count: leaders.accepted, checksum: Buffer.from(leaders.checksum).toString('hex') }
        const noised = await connection.release(hash, asked)
        expect(await connection.release(hash, asked)).toEqual(noised)
        const kept = JSON.parse(await readFile(shareFile, 'utf8')) as { share: string }
        expect(toBase64Url(noised)).toBe(kept.share)
        // The release is the exact sum, the helper's noise and the leader's: what is left after two of them is the third
        // (sigma 2; beyond 8 sigma once in 10^13 rounds).
        const released = await readRelease(releaseFile)
        const partly = vdaf.unshardNoisy([leaders.share, noised])
        for (const [i, steps] of released?.steps.entries() ?? [])
          expect(Math.abs(steps - (partly[i] as number))).toBeLessThan(17)
        for (const who of ['leader', 'helper'])
          expect(chargesIn(await readLedger(join(folder, `${who}-ledger.jsonl`)))).toHaveLength(round)
      }
      expect(deaths).toHaveLength(Math.min(KILLS, ROUNDS * (UPLOADING + AGGREGATING + RELEASING)))
      console.info(deaths.join('\n'))
    },
    120_000 + 40_000 * KILLS,
  )
})
