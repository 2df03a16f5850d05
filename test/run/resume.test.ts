// kill -9 and Ctrl-C at any moment: no paid call is paid again, no round is released twice, and the run goes on.
import { existsSync } from 'node:fs'
import { appendFile, readFile, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { chargesIn, readLedger } from '../../src/privacy/ledger.ts'
import { hangs, startServer, type TestServer } from '../llm/server.ts'
import { type ConfigObject, leaks, runCli, startCli, workspace } from './workspace.ts'

const servers: TestServer[] = []
afterAll(() => Promise.all(servers.map((server) => server.close())))

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(50)
}

/** A run whose LLM is a local HTTP server that counts what it is asked. */
async function served(change: (config: ConfigObject) => void = () => {}) {
  const server = await startServer()
  servers.push(server)
  server.delayMs = 30
  const made = await workspace((config) => {
    config.llm = {
      provider: 'openai',
      model: 'test',
      baseUrl: server.baseUrl,
      apiKeyEnv: 'TEST_KEY',
      concurrency: 2,
    }
    config.generate = { ...config.generate, texts: 30 }
    change(config)
  })
  return { ...made, server, env: { TEST_KEY: 'sk-test' } }
}

const ledgerOf = async (folder: string) =>
  chargesIn(await readLedger(join(folder, 'runs/ledgers/canaries.jsonl')))

// Side by side, because most of it is waiting for the lock of a process that was killed.
describe.concurrent('kill -9', () => {
  // Calls of this config: 8 variations in each of 2 rounds, then the expansion.
  it.each([3, 10, 25])('after %i calls: the run goes on without paying for them again', async (calls) => {
    const { folder, config, out, server, env } = await served()
    const running = startCli(['generate', config, '--out', out], { cwd: folder, env })
    await until(() => server.seen.length >= calls)
    running.kill('SIGKILL')
    expect((await running.finished).signal).toBe('SIGKILL')
    const before = server.seen.length
    const releases = (await ledgerOf(folder)).length

    const again = await runCli(['generate', config, '--out', out, '--resume'], { cwd: folder, env })
    expect(again.stderr).not.toMatch(/error/)
    expect(again.code).toBe(0)
    const bodies = server.seen.map((request) => JSON.stringify(request.body))
    const repeated = bodies.length - new Set(bodies).size
    // What was in flight when the process died (two at once) had not come back, so it may be asked again.
    expect(repeated).toBeLessThanOrEqual(2)
    expect(bodies.length).toBeGreaterThan(before)
    const ledger = await ledgerOf(folder)
    expect(ledger.map((entry) => entry.release)).toEqual(['round-1', 'round-2'])
    expect(ledger.length).toBeGreaterThanOrEqual(releases)
    expect((await readFile(join(out, 'synthetic.jsonl'), 'utf8')).trimEnd().split('\n')).toHaveLength(30)
    expect(leaks([again.stdout, again.stderr], [folder])).toEqual([])
  })

  it('never releases a round twice: the released bytes stay', async () => {
    const { folder, config, out, env } = await served()
    const running = startCli(['generate', config, '--out', out], { cwd: folder, env })
    await until(() => existsSync(join(out, 'rounds/0002/population.jsonl')))
    running.kill('SIGKILL')
    await running.finished
    const bytes = await readFile(join(out, 'rounds/0001/release.json'), 'utf8')
    const population = await readFile(join(out, 'rounds/0002/population.jsonl'), 'utf8')
    expect((await runCli(['generate', config, '--out', out, '--resume'], { cwd: folder, env })).code).toBe(0)
    expect(await readFile(join(out, 'rounds/0001/release.json'), 'utf8')).toBe(bytes)
    expect(await readFile(join(out, 'rounds/0002/population.jsonl'), 'utf8')).toBe(population)
  })

  it('a torn last line of the request cache costs that one call', async () => {
    const { folder, config, out, server, env } = await served()
    const running = startCli(['generate', config, '--out', out], { cwd: folder, env })
    await until(() => server.seen.length >= 12)
    running.kill('SIGKILL')
    await running.finished
    const cache = join(out, 'llm-cache.jsonl')
    await truncate(cache, (await readFile(cache)).length - 7)
    await appendFile(cache, '')
    const again = await runCli(['generate', config, '--out', out, '--resume'], { cwd: folder, env })
    expect(again.code).toBe(0)
    const bodies = server.seen.map((request) => JSON.stringify(request.body))
    expect(bodies.length - new Set(bodies).size).toBeLessThanOrEqual(3)
  })
})

describe.concurrent('Ctrl-C', () => {
  it('once seals the run and exits with 130; --resume finishes it', async () => {
    const { folder, config, out, server, env } = await served()
    const running = startCli(['generate', config, '--out', out], { cwd: folder, env })
    await until(() => server.seen.length >= 10)
    running.kill('SIGINT')
    const stopped = await running.finished
    expect(stopped.code).toBe(130)
    expect(stopped.stderr).toMatch(/stopping after the calls in flight/)
    expect(stopped.stderr).toMatch(/stopped; the run is sealed in .*out/)
    expect(stopped.stderr).toMatch(/go on with --out .*out --resume/)
    expect(JSON.parse(await readFile(join(out, 'manifest.json'), 'utf8')).status).toBe('sealed')
    const again = await runCli(['generate', config, '--out', out, '--resume'], { cwd: folder, env })
    expect(again.code).toBe(0)
    const bodies = server.seen.map((request) => JSON.stringify(request.body))
    // Calls in flight were finished and kept: nothing is asked twice.
    expect(bodies.length - new Set(bodies).size).toBe(0)
    expect(leaks([stopped.stdout, stopped.stderr, again.stdout, again.stderr], [folder])).toEqual([])
  })

  it('before the first release spends nothing', async () => {
    const { folder, config, out, server, env } = await served((c) => {
      c.evolution = { ...c.evolution, initial: { from: 'zero-shot' } }
    })
    const running = startCli(['generate', config, '--out', out], { cwd: folder, env })
    await until(() => server.seen.length >= 2)
    running.kill('SIGINT')
    expect((await running.finished).code).toBe(130)
    expect(existsSync(join(folder, 'runs/ledgers/canaries.jsonl'))).toBe(false)
  })
})

describe.concurrent('resume', () => {
  it('without a name takes the latest unfinished run, and says so where there is none', async () => {
    const { folder, config, server, env } = await served()
    const none = await runCli(['generate', config, '--resume'], { cwd: folder, env })
    expect(none.code).toBe(2)
    expect(none.stderr).toMatch(/no unfinished run named "test" to resume/)
    const running = startCli(['generate', config], { cwd: folder, env })
    await until(() => server.seen.length >= 5)
    running.kill('SIGKILL')
    await running.finished
    const again = await runCli(['generate', config, '--resume'], { cwd: folder, env })
    expect(again.code).toBe(0)
    const finished = await runCli(['generate', config, '--resume'], { cwd: folder, env })
    expect(finished.code).toBe(2)
  })

  it('is refused for a folder of another config, with what differs', async () => {
    const { folder, config, out, server, env } = await served()
    const running = startCli(['generate', config, '--out', out], { cwd: folder, env })
    await until(() => server.seen.length >= 5)
    running.kill('SIGKILL')
    await running.finished
    const other = await runCli(
      ['generate', config, '--out', out, '--resume', '--set', 'evolution.rounds=3'],
      { cwd: folder, env },
    )
    expect(other.code).toBe(3)
    expect(other.stderr).toMatch(/out belongs to a run of another config \(different: rounds: 3\)/)
    const unnamed = await runCli(['generate', config, '--out', out], { cwd: folder, env })
    expect(unnamed.code).toBe(2)
    expect(leaks([other.stdout, other.stderr, unnamed.stdout, unnamed.stderr], [folder])).toEqual([])
    expect(unnamed.stderr).toMatch(/out: this run was begun and not finished/)
  })

  it('two processes cannot work on one run folder', async () => {
    const { folder, config, out, server, env } = await served()
    // The first one waits for an answer for as long as the second one takes.
    server.always = hangs
    const running = startCli(['generate', config, '--out', out], { cwd: folder, env })
    await until(() => server.seen.length >= 2)
    const second = await runCli(['generate', config, '--out', out, '--resume'], { cwd: folder, env })
    running.kill('SIGKILL')
    await running.finished
    expect(leaks([second.stdout, second.stderr], [folder])).toEqual([])
    expect(second.code).toBe(12)
    expect(second.stderr).toMatch(/another pretext process is using .*out/)
  })
})
