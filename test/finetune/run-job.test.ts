// The runner against programs that misbehave: it never hangs, never shows real texts, and always says how it ended.
import { chmod, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import type { TrainerEvent } from '../../src/finetune/protocol.ts'
import { type RunJobOptions, runJob } from '../../src/finetune/run-job.ts'

const CHECKED =
  '{"event":"done","result":{"python":"3.11.7","packages":{"torch":null},"device":"cpu","gpus":0}}'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'run-job-'))
})

let made = 0
/** A trainer that is a few lines of shell. */
async function trainer(script: string): Promise<string> {
  const path = join(folder, `trainer-${made++}`)
  await writeFile(path, `#!/bin/sh\n${script}\n`)
  await chmod(path, 0o755)
  return path
}

const check = async (script: string, options: Partial<RunJobOptions> = {}) =>
  runJob({ kind: 'check' }, { python: await trainer(script), ...options })

describe('a job', () => {
  it('hands its events on in order and answers with its result', async () => {
    const events: TrainerEvent[] = []
    const result = await check(
      `echo '{"event":"note","message":"one"}'; echo noise >&2; echo '{"event":"warning","message":"two"}'; echo '${CHECKED}'`,
      { onEvent: (event) => events.push(event) },
    )
    expect(result).toMatchObject({ python: '3.11.7', gpus: 0 })
    expect(events).toEqual([
      { event: 'note', message: 'one' },
      { event: 'warning', message: 'two' },
    ])
  })

  it('asks no network where PRETEXT_OFFLINE forbids it', async () => {
    const say = `echo '{"event":"note","message":"'"$HF_HUB_OFFLINE$TRANSFORMERS_OFFLINE"'"}'; echo '${CHECKED}'`
    const told = async (env: Record<string, string>) => {
      const events: TrainerEvent[] = []
      await check(say, { env: { PATH: process.env.PATH, ...env }, onEvent: (event) => events.push(event) })
      return events
    }
    expect(await told({ PRETEXT_OFFLINE: 'yes' })).toEqual([{ event: 'note', message: '11' }])
    expect(await told({ PRETEXT_OFFLINE: '0' })).toEqual([{ event: 'note', message: '' }])
  })

  it('that fails keeps its code, its words and its hint', async () => {
    await expect(
      check(`echo '{"event":"failed","code":"data","message":"no texts","hint":"get some"}'; exit 1`),
    ).rejects.toMatchObject({ code: 'data', message: 'no texts', hint: 'get some' })
  })

  it('that ends without a word is told with the end of what it printed', async () => {
    await expect(check('echo ImportError: libfoo.so >&2; exit 3')).rejects.toMatchObject({
      code: 'unexpected',
      message: 'the trainer ended with exit code 3 before it was done\n  ImportError: libfoo.so',
    })
  })

  it('that reads real texts shows kinds of errors and places in code, and nothing else', async () => {
    const script = `echo '  File "a.py", line 3, in read' >&2; echo "    text = 'zebra'" >&2; echo "ValueError: zebra is private" >&2; exit 1`
    const error = await check(script, { realTexts: true }).catch((e: Error) => e)
    expect((error as Error).message).toBe(
      'the trainer ended with exit code 1 before it was done\n    File "a.py", line 3, in read\n  ValueError',
    )
  })

  it('that is killed is told as such', async () => {
    await expect(check('kill -9 $$')).rejects.toMatchObject({
      message: 'the trainer ended by SIGKILL before it was done',
      hint: expect.stringContaining('use a smaller --micro-batch'),
    })
  })

  it('that says done and ends badly is not believed', async () => {
    await expect(check(`echo '${CHECKED}'; exit 1`)).rejects.toThrow('the trainer ended with exit code 1')
  })

  it('that sends something else than the protocol is refused', async () => {
    await expect(check(`echo 'Loading weights: 100%'; echo '${CHECKED}'`)).rejects.toThrow(
      'the trainer sent a line that is no event of the protocol',
    )
    await expect(check(`echo '{"event":"done","result":{"python":3}}'`)).rejects.toThrow()
  })

  it('is asked to stop by the signal, and its own words are kept', async () => {
    const controller = new AbortController()
    const script = `trap 'echo "{\\"event\\":\\"failed\\",\\"code\\":\\"interrupted\\",\\"message\\":\\"stopped\\"}"; exit 130' TERM
echo '{"event":"note","message":"begun"}'; while :; do sleep 0.05; done`
    const running = check(script, { signal: controller.signal, onEvent: () => controller.abort() })
    await expect(running).rejects.toMatchObject({ code: 'interrupted', message: 'stopped' })
  })

  it('without an interpreter is a missing dependency', async () => {
    const python = join(folder, 'no-python')
    await expect(runJob({ kind: 'check' }, { python })).rejects.toMatchObject({
      code: 'dependency',
      message: `could not start the trainer's Python ${python} (ENOENT)`,
    })
  })
})
