// Every path of docs/openapi.json against a running coordinator, with the requests that schemathesis makes of the document:
// answers are those of the document, requests beyond it are refused, and nothing is answered by 500 (property 4).
// PRETEXT_EXAMPLES sets how many random requests each operation gets in each phase.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sha256Hex } from '../../src/federation/protocol/bytes.ts'
import { client, embedder, enrolAll, exampleTerms, openedRound, voteFor } from './example.ts'
import { offeredBy, pageCoordinator } from './page-coordinator.ts'
import { schemathesisPython } from './schemathesis-environment.ts'

const EXAMPLES = process.env.PRETEXT_EXAMPLES ?? '25'
const SEED = process.env.PRETEXT_SEED ?? '1'
const OPERATOR = 'operator-token'
const DOCUMENT = resolve(import.meta.dirname, '../../docs/openapi.json')

const python = await schemathesisPython()

describe.skipIf(python === undefined)('schemathesis', () => {
  let folder: string
  let running: Awaited<ReturnType<typeof pageCoordinator>>
  let world: Record<string, string>

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'schemathesis-'))
    const file = join(folder, 'model.bin')
    await writeFile(file, 'not a model')
    const model = sha256Hex(await readFile(file))
    running = await pageCoordinator(folder, {
      assets: folder,
      embedder: offeredBy(
        embedder,
        [{ path: 'model.bin', sha256: model, bytes: 11, absolutePath: file }],
        256,
      ),
      change: { operatorTokenHash: createHash('sha256').update(OPERATOR).digest('hex') },
    })
    const { coordinator, store } = running
    await enrolAll(store, 1)
    const token = 't'.repeat(32)
    await store.addTokens([createHash('sha256').update(token).digest('hex')], 0)
    const terms = exampleTerms({ openSeconds: 3600, cohort: { minimum: 2, target: 5, seats: 5 } })
    const { hash } = await openedRound(coordinator, terms)
    world = {
      task: coordinator.task,
      seed: Buffer.from(client(0).secretKey).toString('hex'),
      token,
      manifest: hash,
      blob: hash,
      model,
      vote: Buffer.from(voteFor(0)).toString('base64'),
      operator: OPERATOR,
    }
  })
  afterAll(() => running?.close())

  const run = (...args: string[]) =>
    new Promise<{ code: number | null; output: string }>((done) => {
      const child = spawn(
        python as string,
        [
          ...['-c', 'from schemathesis.cli import schemathesis; schemathesis()'],
          ...['--config-file', join(import.meta.dirname, 'schemathesis.toml'), 'run', DOCUMENT],
          ...['--url', running.url, '--seed', SEED, '--max-examples', EXAMPLES, '--no-color'],
          ...['--generation-database', 'none', ...args],
        ],
        {
          cwd: folder,
          env: {
            ...process.env,
            SCHEMATHESIS_HOOKS: 'schemathesis_hooks',
            PYTHONPATH: import.meta.dirname,
            PYTHONDONTWRITEBYTECODE: '1',
            PRETEXT_TEST_WORLD: JSON.stringify(world),
          },
        },
      )
      let output = ''
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (data) => {
          output += data
        })
      child.on('close', (code) => done({ code, output }))
    })

  it('finds no answer of clients’ paths that the document does not have', async () => {
    const { code, output } = await run('--exclude-operation-id', 'operate')
    expect(code, output).toBe(0)
    expect(output).toMatch(/Tested: +9|9 passed/)
    // The signatures of the hooks are good: a vote came through.
    expect(await running.store.voters(world.manifest as string)).toBe(1)
  })

  it('nor one of the operator’s', async () => {
    // The check knows 401 alone; the protocol says 403 where the token is missing as where it is wrong.
    const { code, output } = await run(
      ...['--include-operation-id', 'operate', '--exclude-checks', 'missing_required_header'],
    )
    expect(code, output).toBe(0)
  })
})
