// The whole of two-server mode with processes of their own: `pretext helper` with its own copy of the config, five
// `pretext join`, and the coordinator's rounds; one client is killed and comes back. What both servers keep in a round adds
// up to the simulator's sum on the same texts.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { loadConfig } from '../../src/config/load.ts'
import { createHashingEmbedder } from '../../src/embeddings/hashing.ts'
import type { ClosedRound } from '../../src/federation/aggregation/aggregation.ts'
import { mintTokens } from '../../src/federation/coordinator/operator.ts'
import { helperStore } from '../../src/federation/helper/helper-store.ts'
import { voteVdaf } from '../../src/federation/protocol/report-bytes.ts'
import { embeddedDatabase } from '../../src/federation/stores/embedded.ts'
import { chargesIn, readLedger } from '../../src/privacy/ledger.ts'
import { openCoordinator } from '../../src/run/coordinator.ts'
import { generate } from '../../src/run/generate.ts'
import { sentence } from '../run/workspace.ts'
import { writeJsonl } from './jsonl.ts'
import { simulatedSums } from './simulated-sums.ts'

const CLIENTS = 5
const ROUNDS = 2
const CLI = join(import.meta.dirname, 'cli-child.ts')

const children: ChildProcess[] = []
afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
})

function start(args: readonly string[]) {
  const child = spawn(process.execPath, ['--import', 'tsx', CLI, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.push(child)
  let output = ''
  const heard: (() => void)[] = []
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data) => {
      output += data
      for (const wake of heard.splice(0)) wake()
    })
  const ended = new Promise<number | null>((done) => child.on('close', (code) => done(code)))
  return {
    child,
    ended,
    output: () => output,
    async says(pattern: RegExp): Promise<RegExpExecArray> {
      for (;;) {
        const found = pattern.exec(output)
        if (found !== null) return found
        if (child.exitCode !== null) throw new Error(`it ended: ${output}`)
        await new Promise<void>((wake) => heard.push(wake))
      }
    },
  }
}

const identityOf = async (command: string, config: string): Promise<string> => {
  const asked = start([command, config, '--identity'])
  expect(await asked.ended, asked.output()).toBe(0)
  return (await asked.says(/^ptx1_[\w-]{91}$/m))[0]
}

it('two operators, five clients, one killed: nobody has a vote, and the shares add up to the simulator’s sum', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'two-operators-'))
  const texts = Array.from({ length: CLIENTS }, (_, n) =>
    Array.from({ length: 4 }, (_, i) => ({ client: `c${n}`, text: sentence(2000 + n * 10 + i) })),
  )
  for (const [n, rows] of texts.entries())
    await writeJsonl(
      folder,
      `own-${n}.jsonl`,
      rows.map(({ text }) => ({ text })),
    )
  await writeJsonl(
    folder,
    'public.jsonl',
    Array.from({ length: 60 }, (_, i) => ({ text: sentence(i) })),
  )
  // Each operator has the config on its own disk, with its own additions.
  const configFor = async (who: string, federation: object): Promise<string> => {
    await mkdir(join(folder, who), { recursive: true })
    const file = join(folder, who, 'config.yaml')
    await writeFile(
      file,
      stringify({
        name: 'both',
        data: { dataset: 'both', public: { path: '../public.jsonl' } },
        privacy: { unit: 'client', epsilon: 8, delta: 1e-5, minimumClients: 4 },
        embeddings: { model: 'hashing' },
        histogram: { vote: 'multihot', maxTextsPerClient: 4 },
        evolution: { rounds: ROUNDS, population: 24, variation: { minWords: 3 } },
        llm: { provider: 'scripted', model: 'scripted' },
        generate: { texts: 12, minWords: 3 },
        federation: {
          mode: 'two-server',
          target: CLIENTS,
          roundMinutes: 5,
          pollSeconds: 1,
          port: 0,
          ...federation,
        },
        output: { folder: 'runs' },
      }),
    )
    return file
  }
  const helperConfig = await configFor('helper', {})
  const helperIdentity = await identityOf('helper', helperConfig)
  const leaderIdentity = await identityOf('serve', await configFor('leader', {}))
  await configFor('helper', { leader: { identity: leaderIdentity }, helper: { port: 0 }, verifiers: 1 })
  const helper = start(['helper', helperConfig])
  const [, url] = await helper.says(/reaches this helper at (\S+)/)
  const leaderConfig = await configFor('leader', { helper: { url, identity: helperIdentity }, verifiers: 1 })

  const loaded = await loadConfig(leaderConfig)
  const open = await openCoordinator(loaded)
  const { coordinator } = open
  const rounds: { readonly sums: number[]; readonly round: ClosedRound }[] = []
  const watched = {
    ...open,
    coordinator: {
      ...coordinator,
      aggregation: {
        ...coordinator.aggregation,
        async release(...[round, options]: Parameters<typeof coordinator.aggregation.release>) {
          // Only this test looks at both disks.
          const disk = await helperStore(
            await embeddedDatabase(join(folder, 'helper/runs/helper/both/store.db')),
          )
          const vdaf = voteVdaf(round.manifest)
          const both = await Promise.all([coordinator.store.jobs(round.hash), disk.results(round.hash)])
          const shares = both.map((results) => vdaf.aggregate(results.map(({ share }) => share)))
          rounds.push({ round, sums: vdaf.unshard(shares, CLIENTS) })
          await disk.close()
          return coordinator.aggregation.release(round, options)
        },
      },
    },
  }
  const running = generate(loaded, { coordinator: watched, out: join(folder, 'out') })
  running.catch(() => {})

  const tokens = await mintTokens(coordinator.store, CLIENTS, Date.now())
  const join_ = (n: number) =>
    start([
      ...[
        'join',
        '--server',
        open.url,
        '--texts',
        join(folder, `own-${n}.jsonl`),
        '--token',
        tokens[n] as string,
      ],
      ...['--state', join(folder, `state-${n}`), '--model', 'hashing', '--epsilon', '20', '--delta', '1e-5'],
      ...['--minimum-cohort', '4', '--aggregation', 'two-server', '--helper', helperIdentity],
    ])
  const clients = Array.from({ length: CLIENTS }, (_, n) => join_(n))
  const killed = clients[0] as (typeof clients)[0]
  await killed.says(/round 1\/2: voted/)
  killed.child.kill('SIGKILL')
  await killed.ended
  clients[0] = join_(0)

  const result = await running
  for (const client of clients) {
    expect(await client.ended, client.output()).toBe(0)
    expect(client.output()).toMatch(/two-server aggregation, which means that nobody sees a single vote/)
  }
  expect(result.report.privacy.aggregation).toBe('two-server')
  expect(result.report.privacy.epsilon).toBeLessThanOrEqual(8)
  // Each operator paid for both rounds from a ledger of its own.
  for (const ledger of [result.ledger, join(folder, 'helper/runs/helper/both/ledger.jsonl')])
    expect(chargesIn(await readLedger(ledger))).toHaveLength(ROUNDS)
  expect(await readFile(result.corpus, 'utf8')).not.toBe('')

  const embedder = createHashingEmbedder()
  const all = await writeJsonl(folder, 'clients.jsonl', texts.flat())
  expect(rounds).toHaveLength(ROUNDS)
  for (const { round, sums } of rounds) {
    const asSent = (await coordinator.store.blob(round.manifest.candidates.sha256)) as Uint8Array
    expect(sums).toEqual((await simulatedSums(round.manifest, asSent, all, embedder)).map(Number))
  }
  helper.child.kill('SIGTERM')
  expect(await helper.ended).toBe(0)
  await open.close()
})
