// Ten clients of a real federation on one machine: a coordinator process, eight "pretext join" and two Chromium pages, each
// in a network namespace of its own where that can be had, over TLS; three rounds on data/debian. One client is killed and
// comes back, one is killed for good, one's requests are sent again. The exact sums are the simulator's on the same texts.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { findChromium } from './chromium.ts'
import type { Place } from './namespaces.ts'
import { CLIENTS, openTenClients, type Recorded, ROOT, ROUNDS, type TenClients } from './ten-clients.ts'

const NODE_CLIENTS = 8
const [DIES, RETURNS, REPLAYED] = [5, 6, 7]
const EPSILON = '12'

const found = findChromium()

describe.skipIf(!found)(
  `ten clients (${found ? 'Chromium found' : 'skipped: no Chromium, set PRETEXT_CHROMIUM'})`,
  () => {
    let ten: TenClients
    beforeAll(async () => {
      ten = await openTenClients(1)
    })
    afterAll(() => ten?.close())

    const joinCommand = (server: string, n: number, token: string) => [
      process.execPath,
      join(ROOT, 'bin/pretext.js'),
      ...['join', '--server', server, '--texts', join(ten.folder, `client-${n}.jsonl`), '--token', token],
      ...['--epsilon', EPSILON, '--delta', '1e-5', '--minimum-cohort', '9'],
      ...['--state', join(ten.folder, `state-${n}`)],
    ]

    it('three rounds: killed, replayed, and the exact sums are the simulator’s', async () => {
      const began = Date.now()
      const { network, folder, started, ask, trusting } = ten
      const places = network.places
      const home = places[CLIENTS] as Place
      const config = { ...ten.configFor(home.host), histogram: { maxTextsPerClient: 4 } }
      await writeFile(join(folder, 'config.yaml'), stringify(config))
      const serving = started(home, [
        ...[process.execPath, '--import', 'tsx', join(import.meta.dirname, 'ten-clients-child.ts')],
        ...[join(folder, 'config.yaml'), join(folder, 'out'), String(CLIENTS)],
      ])
      const coordinator = serving.child
      const { url, tokens } = JSON.parse(await serving.line(/"url"/)) as { url: string; tokens: string[] }
      const recorded: Recorded[] = []
      const through = await ten.recorder(url, recorded)

      const joined = Array.from({ length: NODE_CLIENTS }, (_, n) => {
        const server = n === REPLAYED ? through : url
        return started(places[n] as Place, joinCommand(server, n, tokens[n] as string), trusting)
      })
      const pages = []
      for (let n = NODE_CLIENTS; n < CLIENTS; n++)
        pages.push(await ten.openPage(n, url, tokens[n] as string, EPSILON))
      await Promise.all(joined.map(({ line }) => line(/trusted aggregation/)))
      const ready = Date.now()
      coordinator.stdin?.write('go\n')

      const sums = async (round: number) =>
        JSON.parse(await serving.line(new RegExp(`"round":${round},`))) as { hash: string; sums: string[] }
      const everybody = Array.from({ length: CLIENTS }, (_, n) => n)

      // Round 1: everybody votes. What one sent is sent again.
      await (joined[REPLAYED] as (typeof joined)[0]).line(/round 1\/3: voted/)
      const vote = recorded[0] as Recorded
      expect(vote.status).toBe(200)
      expect([401, 410]).toContain((await ask(url, 'PUT', vote.path, vote.headers, vote.body)).status)
      const first = await sums(1)
      expect(first.sums).toEqual(await ten.simulated(url, first.hash, everybody))

      // Round 2: one is killed in the middle of it, and comes back with what it kept.
      const returning = joined[RETURNS] as (typeof joined)[0]
      await returning.line(/round 2\/3: what leaves/)
      returning.child.kill('SIGKILL')
      const back = started(
        places[RETURNS] as Place,
        joinCommand(url, RETURNS, tokens[RETURNS] as string),
        trusting,
      )
      const dying = joined[DIES] as (typeof joined)[0]
      await dying.line(/round 2\/3: voted/)
      dying.child.kill('SIGKILL')
      const open = JSON.parse((await ask(url, 'GET', '/v1/task')).body.toString()) as {
        round: { manifest: string } | null
      }
      for (const path of [vote.path, `/v1/rounds/${open.round?.manifest ?? first.hash}/vote`]) {
        const again = await ask(url, 'PUT', path, vote.headers, vote.body)
        expect([401, 410], path).toContain(again.status)
      }
      const second = await sums(2)
      expect(second.sums).toEqual(await ten.simulated(url, second.hash, everybody))

      // Round 3: nine are left; it ends by its deadline.
      coordinator.stdin?.write(`deadline ${CLIENTS - 1}\n`)
      const third = await sums(3)
      const left = everybody.filter((n) => n !== DIES)
      expect(third.sums).toEqual(await ten.simulated(url, third.hash, left))
      expect(new Set([first.hash, second.hash, third.hash]).size).toBe(ROUNDS)

      const { epsilon } = JSON.parse(await serving.line(/"epsilon"|"failed"/)) as { epsilon: number }
      for (const page of pages) {
        await page.getByText('All rounds are over').waitFor()
        expect(await page.locator('#receipts tr').count()).toBe(ROUNDS)
        expect(await page.locator('#now').textContent()).toContain(`epsilon ${epsilon.toFixed(2)}`)
      }
      const others = joined.filter((_, n) => n !== DIES && n !== RETURNS)
      for (const client of [...others, back]) await client.line(/votes? counted; your texts have spent/)
      coordinator.stdin?.write('end\n')
      const seconds = (ms: number) => (ms / 1000).toFixed(0)
      console.info(
        `ready after ${seconds(ready - began)} s, three rounds in ${seconds(Date.now() - ready)} s`,
      )
    })
  },
)
