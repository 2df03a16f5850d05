// Promises that an attacker or an accident would test: each of these once failed.
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/config/load.ts'
import type { Embedder } from '../../src/embeddings/embedder.ts'
import { createHashingEmbedder } from '../../src/embeddings/hashing.ts'
import type { PretextEvent } from '../../src/events.ts'
import { apportion } from '../../src/evolution/population.ts'
import { boundInVotes, voteBound } from '../../src/histogram/bound.ts'
import { embedClients } from '../../src/histogram/clients.ts'
import { ExactVotes } from '../../src/histogram/exact-votes.ts'
import { releaseHistogram } from '../../src/histogram/release.ts'
import { charge, chargesIn, readLedger } from '../../src/privacy/ledger.ts'
import { voteOptions } from '../../src/run/local-steps.ts'
import { planNoise } from '../../src/run/noise.ts'
import { columnsOf } from '../../src/texts/columns.ts'
import { PrivateTexts } from '../../src/texts/private-texts.ts'
import { startServer, type TestServer } from '../llm/server.ts'
import { runCli, startCli, workspace } from './workspace.ts'

let server: TestServer | undefined
afterEach(async () => {
  await server?.close()
  server = undefined
})

const configOf = (changes: string) =>
  parseConfig(
    `name: t\ndata: { dataset: d, private: { path: a.jsonl, client: c }, public: { path: p.jsonl } }\n${changes}`,
    't.yaml',
  ).config

describe('one draw for each charge', () => {
  it('a draw that was whole before a crash is the release: it is not drawn again', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'guards-'))
    const ledger = join(folder, 'ledger.jsonl')
    const terms = { dataset: 'd', unit: 'client', adjacency: 'add-remove' } as const
    const wanted = {
      run: 'r',
      release: 'round-1',
      mechanism: { type: 'gaussian', noiseMultiplier: 2 },
    } as const
    const { entry } = await charge(ledger, terms, wanted)
    const drawn = `${JSON.stringify({ format: 'pretext-release', version: 1, release: 'round-1', charge: entry.hash, redrawn: false, gridSteps: 65536, sigma: 131072, steps: [5, -7] })}\n`
    const file = join(folder, 'release.json')
    await writeFile(`${file}.part`, drawn)
    const count = async () =>
      new ExactVotes(2, voteBound({ mode: 'normalised', maxTextsPerClient: 1, neighbours: 1 }), false)
    const { histogram } = await releaseHistogram({ file, ledger, terms, charge: wanted, count })
    expect(histogram.steps).toEqual([5, -7])
    expect(await readFile(file, 'utf8')).toBe(drawn)
    // A torn draw is no draw: it is removed, and the charge pays for a new one.
    const second = { ...wanted, release: 'round-2' }
    await charge(ledger, terms, second)
    const other = join(folder, 'release-2.json')
    await writeFile(`${other}.part`, drawn.slice(0, 60))
    expect((await releaseHistogram({ file: other, ledger, terms, charge: second, count })).redrawn).toBe(true)
  })

  it('a run cannot go on with another ledger', async () => {
    const started = await startServer()
    server = started
    started.delayMs = 50
    const { folder, config, out } = await workspace((c) => {
      c.llm = { provider: 'openai', model: 'test', baseUrl: started.baseUrl, apiKeyEnv: 'TEST_KEY' }
    })
    const env = { TEST_KEY: 'k' }
    const running = startCli(['generate', config, '--out', out], { cwd: folder, env })
    while (started.seen.length < 12) await new Promise((resolve) => setTimeout(resolve, 20))
    running.kill('SIGINT')
    await running.finished
    const other = await runCli(
      ['generate', config, '--out', out, '--resume', '--set', 'output.folder=elsewhere'],
      { cwd: folder, env },
    )
    expect(other.code).toBe(13)
    expect(other.stderr).toMatch(
      /is charged to the ledger .*canaries\.jsonl, and would go on with .*elsewhere/,
    )
  })

  it('ledgers in one folder do not disturb each other', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'guards-'))
    const names = ['a', 'b', 'c', 'd']
    await Promise.all(
      names.map((dataset) =>
        charge(
          join(folder, `${dataset}.jsonl`),
          { dataset, unit: 'client', adjacency: 'add-remove' },
          {
            run: 'r',
            release: 'round-1',
            mechanism: { type: 'gaussian', noiseMultiplier: 1 },
          },
        ),
      ),
    )
    for (const name of names)
      expect(chargesIn(await readLedger(join(folder, `${name}.jsonl`)))).toHaveLength(1)
  })
})

describe('before anything is spent', () => {
  it('a budget that cannot pay for the whole run stops it', async () => {
    const { folder, config, out } = await workspace((c) => {
      c.privacy = { ...c.privacy, budget: { epsilon: 6, delta: 1e-5 } }
    })
    const { code, stderr } = await runCli(['generate', config, '--out', out], { cwd: folder })
    expect(code).toBe(6)
    expect(stderr).toMatch(
      /these 2 releases would bring data set "canaries" to epsilon 8\.0000, over its budget of 6/,
    )
    expect(await readLedger(join(folder, 'runs/ledgers/canaries.jsonl'))).toEqual([])
  })

  it('private texts are never released with noise that hides nothing', () => {
    const noisy = (privacy: string) =>
      planNoise(configOf(`privacy: { unit: client, delta: 1e-5, ${privacy} }`))
    expect(() => noisy('noiseMultiplier: 1.0e-160')).toThrow(/which protects nothing/)
    expect(() => noisy('epsilon: 5000')).toThrow(/epsilon 5000, which protects nothing/)
    expect(noisy('epsilon: 900').epsilon).toBeLessThanOrEqual(900)
  })

  it.each([
    ['labels: { values: [a, b], shares: { a: 0, b: 0 } }', 'expected at least one share above 0'],
    ['labels: { values: [a, b, c] }, population: 2', 'at least one candidate for each of the 3 labels'],
    [
      'variation: { operators: [mask-fill], degree: [0.3, 0] }',
      'mask-fill needs degree and temperature above 0',
    ],
  ])('%s is refused', (evolution, message) => {
    const text = `privacy: { unit: client, epsilon: 1, delta: 1e-5 }\nevolution: { ${evolution} }`
    expect(() => configOf(text)).toThrow(message)
  })
})

describe('nothing tells how many there are', () => {
  const texts = (clients: number) =>
    new PrivateTexts(columnsOf(Array.from({ length: clients }, (_, i) => ({ texts: [`text number ${i}`] }))))

  it('the number of progress events is the same for any number of clients', async () => {
    const embedder = createHashingEmbedder()
    const seen = async (clients: number) => {
      const events: PretextEvent[] = []
      await embedClients(texts(clients), embedder, { maxTextsPerClient: 1, onEvent: (e) => events.push(e) })
      return events
    }
    expect(await seen(12)).toEqual(await seen(57))
    expect(await seen(12)).toEqual(await seen(311))
  })

  it('a text without a finite embedding casts no vote, and stops nothing', async () => {
    const real = createHashingEmbedder()
    const broken: Embedder = {
      ...real,
      async embed(list) {
        const m = await real.embed(list)
        if (list[0] === 'text number 1') m.values[3] = Number.NaN
        return m
      },
    }
    const clients = await embedClients(texts(3), broken, { maxTextsPerClient: 1, onEvent: () => {} })
    const options = { mode: 'normalised', maxTextsPerClient: 1, neighbours: 1 } as const
    await expect(clients.countVotes(new Map(), 4, options, voteBound(options))).resolves.toBeInstanceOf(
      ExactVotes,
    )
  })
})

describe('bounds', () => {
  it('a record is one text, and pays noise for one', () => {
    const record = (vote: string) =>
      configOf(`privacy: { unit: record, epsilon: 1, delta: 1e-5 }\nhistogram: { vote: ${vote} }`)
    for (const vote of ['counts', 'multihot', 'normalised']) {
      expect(boundInVotes(voteBound(voteOptions(record(vote))))).toBe(1)
    }
  })

  it('every label with a share keeps a place', () => {
    expect(apportion([0.97, 0.02, 0.01, 0], 10, 1)).toEqual([8, 1, 1, 0])
    expect(apportion([0.5, 0.5], 1, 1)).toEqual([1, 0])
  })
})
