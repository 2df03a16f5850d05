// Ten clients of a federation that nobody sees the votes of, on one machine: leader and helper as processes with disks and
// configs of their own, eight "pretext join" and two Chromium pages, each in a network namespace of its own where that can be
// had, over TLS; three rounds on data/debian. One client is killed and comes back, one is killed for good, one's requests are
// sent again, and the helper is killed in the middle of a round. The exact sums, which only this test puts together, are the
// simulator's on the same texts.
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { helperStore } from '../../src/federation/helper/helper-store.ts'
import { fromBase64Url } from '../../src/federation/protocol/bytes.ts'
import { voteVdaf } from '../../src/federation/protocol/report-bytes.ts'
import { embeddedDatabase } from '../../src/federation/stores/embedded.ts'
import { joinedResults } from '../../src/federation/verification/jobs.ts'
import { chargesIn, readLedger } from '../../src/privacy/ledger.ts'
import { findChromium } from './chromium.ts'
import type { Place } from './namespaces.ts'
import { CLIENTS, openTenClients, type Recorded, ROOT, ROUNDS, type TenClients } from './ten-clients.ts'

const NODE_CLIENTS = 8
const [DIES, RETURNS, REPLAYED] = [5, 6, 7]
const EPSILON = '12'
const CLI = [process.execPath, '--import', 'tsx', join(ROOT, 'test/federation/cli-child.ts')]

const found = findChromium()

describe.skipIf(!found)(
  `ten clients and two servers (${found ? 'Chromium found' : 'skipped: no Chromium, set PRETEXT_CHROMIUM'})`,
  () => {
    let ten: TenClients
    beforeAll(async () => {
      ten = await openTenClients(2)
    })
    afterAll(() => ten?.close())

    it('three rounds: killed, replayed, and the shares of both add up to the simulator’s sums', async () => {
      const { network, folder, started, ask, trusting } = ten
      const [home, away] = network.places.slice(CLIENTS) as [Place, Place]
      const places = network.places

      // Each operator has its own copy of the config, and tells the other who it is.
      const write = async (who: 'leader' | 'helper', more: object) => {
        const { federation, ...config } = ten.configFor(home.host)
        await mkdir(join(folder, who), { recursive: true })
        const file = join(folder, who, 'config.yaml')
        await writeFile(
          file,
          stringify({
            ...config,
            histogram: { vote: 'multihot', maxTextsPerClient: 4 },
            federation: { ...federation, mode: 'two-server', verifiers: 1, ...more },
            output: { folder: join(folder, who, 'runs') },
          }),
        )
        return file
      }
      const files = { leader: await write('leader', {}), helper: await write('helper', {}) }
      const identityOf = async (command: string, file: string) =>
        (await started(home, [...CLI, command, file, '--identity']).line(/^ptx1_/)).trim()
      const identities = {
        leader: await identityOf('serve', files.leader),
        helper: await identityOf('helper', files.helper),
      }
      const helperAt = { host: away.host, tls: ten.tls }
      await write('helper', { leader: { identity: identities.leader }, helper: { ...helperAt, port: 0 } })
      let helping = started(away, [...CLI, 'helper', files.helper])
      const helperUrl = (await helping.line(/reaches this helper at/)).replace(/^.*at (https:\S+).*$/, '$1')
      const port = Number(new URL(helperUrl).port)
      await write('helper', { leader: { identity: identities.leader }, helper: { ...helperAt, port } })
      await write('leader', { helper: { url: helperUrl, identity: identities.helper } })

      const leading = started(
        home,
        [
          ...[process.execPath, '--import', 'tsx', join(import.meta.dirname, 'two-server-clients-child.ts')],
          ...[files.leader, join(folder, 'leader/out'), String(CLIENTS)],
        ],
        trusting,
      )
      const { url, tokens } = JSON.parse(await leading.line(/"url"/)) as { url: string; tokens: string[] }
      const recorded: Recorded[] = []
      const through = await ten.recorder(url, recorded)

      const joinAs = (n: number, server: string) =>
        started(
          places[n] as Place,
          [
            ...CLI,
            ...['join', '--server', server, '--texts', join(folder, `client-${n}.jsonl`)],
            ...['--token', tokens[n] as string, '--epsilon', EPSILON, '--delta', '1e-5'],
            ...['--minimum-cohort', '9', '--state', join(folder, `state-${n}`)],
            ...['--aggregation', 'two-server', '--helper', identities.helper],
          ],
          trusting,
        )
      const joined = Array.from({ length: NODE_CLIENTS }, (_, n) => joinAs(n, n === REPLAYED ? through : url))
      const pages = []
      for (let n = NODE_CLIENTS; n < CLIENTS; n++)
        pages.push(await ten.openPage(n, url, tokens[n] as string, EPSILON))
      await Promise.all(joined.map(({ line }) => line(/two-server aggregation/)))
      const ready = Date.now()
      leading.child.stdin?.write('go\n')

      /** The exact sum of a round: the leader's share, and the one on the helper's disk. */
      const sums = async (round: number) => {
        const told = JSON.parse(await leading.line(new RegExp(`"round":${round},|"failed"`)))
        const { hash, accepted, share } = told as { hash: string; accepted: number; share: string }
        const manifest = await ten.manifestOf(url, hash)
        const store = await helperStore(
          await embeddedDatabase(join(folder, 'helper/runs/helper/ten/store.db')),
        )
        const helpers = joinedResults({ manifest, hash }, await store.results(hash))
        await store.close()
        expect(helpers.accepted).toBe(accepted)
        const both = [fromBase64Url(share) as Uint8Array, helpers.share]
        const exact = voteVdaf(manifest).unshard(both, accepted).map(String)
        return { hash, accepted, exact }
      }
      const goOn = () => leading.child.stdin?.write('go on\n')
      const everybody = Array.from({ length: CLIENTS }, (_, n) => n)

      // Round 1: everybody votes. What one sent is sent again.
      await (joined[REPLAYED] as (typeof joined)[0]).line(/round 1\/3: voted/)
      const vote = recorded[0] as Recorded
      expect(vote.status).toBe(200)
      expect([401, 410]).toContain((await ask(url, 'PUT', vote.path, vote.headers, vote.body)).status)
      const first = await sums(1)
      expect(first.accepted).toBe(CLIENTS)
      expect(first.exact).toEqual(await ten.simulated(url, first.hash, everybody))
      goOn()

      // Round 2: one is killed in the middle of it, and comes back with what it kept; so does the helper.
      const returning = joined[RETURNS] as (typeof joined)[0]
      await returning.line(/round 2\/3: what leaves/)
      returning.child.kill('SIGKILL')
      helping.child.kill('SIGKILL')
      const back = joinAs(RETURNS, url)
      const dying = joined[DIES] as (typeof joined)[0]
      helping = started(away, [...CLI, 'helper', files.helper])
      await dying.line(/round 2\/3: voted/)
      dying.child.kill('SIGKILL')
      const open = JSON.parse((await ask(url, 'GET', '/v1/task')).body.toString()) as {
        round: { manifest: string } | null
      }
      // A report sent again, in its own round and under the next round's address.
      for (const path of [vote.path, `/v1/rounds/${open.round?.manifest ?? first.hash}/vote`]) {
        const again = await ask(url, 'PUT', path, vote.headers, vote.body)
        expect([401, 410], path).toContain(again.status)
      }
      const second = await sums(2)
      expect(second.accepted).toBe(CLIENTS)
      expect(second.exact).toEqual(await ten.simulated(url, second.hash, everybody))
      goOn()

      // Round 3: nine are left; it ends by its deadline.
      leading.child.stdin?.write(`deadline ${CLIENTS - 1}\n`)
      const third = await sums(3)
      const left = everybody.filter((n) => n !== DIES)
      expect(third.accepted).toBe(left.length)
      expect(third.exact).toEqual(await ten.simulated(url, third.hash, left))
      goOn()

      const { epsilon } = JSON.parse(await leading.line(/"epsilon"|"failed"/)) as { epsilon: number }
      expect(epsilon).toBeLessThanOrEqual(10)
      for (const page of pages) {
        await page.getByText('All rounds are over').waitFor()
        expect(await page.locator('#receipts tr').count()).toBe(ROUNDS)
      }
      const others = joined.filter((_, n) => n !== DIES && n !== RETURNS)
      for (const client of [...others, back]) await client.line(/votes? counted; your texts have spent/)
      leading.child.stdin?.write('end\n')
      const ledgers = [
        join(folder, 'leader/runs/ledgers/ten.jsonl'),
        join(folder, 'helper/runs/helper/ten/ledger.jsonl'),
      ]
      for (const ledger of ledgers) expect(chargesIn(await readLedger(ledger)), ledger).toHaveLength(ROUNDS)
      console.info(`three rounds in ${((Date.now() - ready) / 1000).toFixed(0)} s`)
    })
  },
)
