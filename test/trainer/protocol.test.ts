// One protocol, two sides: what zod accepts and refuses, jsonschema in Python accepts and refuses too; and the file that
// Python reads is what the source says.
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  JOB_KINDS,
  type JobKind,
  jobFile,
  protocolJsonSchema,
  TrainerEvent,
} from '../../src/finetune/protocol.ts'
import { TRAINER_FOLDER } from '../../src/finetune/run-job.ts'
import { python } from './python.ts'

const stage = { texts: 'texts.jsonl', name: 'training' }
const train = { kind: 'train', out: 'out', model: { from: 'scratch' }, stages: [stage] }

const JOBS: readonly (readonly [string, Record<string, unknown>, boolean])[] = [
  ['check', { kind: 'check' }, true],
  ['check with more', { kind: 'check', more: 1 }, false],
  ['train', train, true],
  [
    'train from the Hub, by LoRA',
    { ...train, model: { from: 'hub', model: 'a/b' }, lora: { rank: 8 } },
    true,
  ],
  ['train without a stage', { ...train, stages: [] }, false],
  ['train with a misspelt key', { ...train, sede: 1 }, false],
  ['train with half a layer', { ...train, model: { from: 'scratch', layers: 1.5 } }, false],
  ['train from nowhere', { ...train, model: { from: 'nowhere', model: 'x' } }, false],
  ['train with a negative rate', { ...train, stages: [{ ...stage, learningRate: -1 }] }, false],
  ['train with most texts held out', { ...train, stages: [{ ...stage, validationShare: 0.9 }] }, false],
  ['train on no processes', { ...train, processes: 0 }, false],
  ['train on all processes', { ...train, processes: 'auto' }, true],
]

const EVENTS: readonly (readonly [string, Record<string, unknown>, boolean])[] = [
  [
    'started',
    { event: 'started', kind: 'train', device: 'cpu', processes: 1, versions: { torch: '2' } },
    true,
  ],
  [
    'progress',
    { event: 'progress', stage: 's', done: 1, total: null, unit: 'steps', values: { loss: 1.5 } },
    true,
  ],
  ['progress backwards', { event: 'progress', stage: 's', done: -1, total: null, unit: '' }, false],
  ['progress without a total', { event: 'progress', stage: 's', done: 1, unit: '' }, false],
  ['metric', { event: 'metric', stage: 's', name: 'loss', value: 2, step: 3, epoch: 0.5 }, true],
  ['metric of words', { event: 'metric', stage: 's', name: 'loss', value: 'low' }, false],
  ['checkpoint', { event: 'checkpoint', stage: 's', step: 3, path: 'p' }, true],
  ['warning', { event: 'warning', message: 'm' }, true],
  ['warning with more', { event: 'warning', message: 'm', text: 't' }, false],
  ['failed', { event: 'failed', code: 'data', message: 'm' }, true],
  ['failed with another code', { event: 'failed', code: 'oops', message: 'm' }, false],
  ['an unknown event', { event: 'dance' }, false],
]

const CHECK = `
import json, sys
from jsonschema import Draft202012Validator
from pretext_trainer.failure import Failure
from pretext_trainer.protocol import SCHEMA, read_job
def job(path):
    try:
        read_job(path)
        return None
    except Failure as failure:
        return failure.message
given = json.load(open(sys.argv[1]))
event = Draft202012Validator(SCHEMA["event"])
print(json.dumps({"jobs": [job(p) for p in given["jobs"]], "events": [event.is_valid(e) for e in given["events"]]}))
`

describe('the protocol', () => {
  it('is written down for Python as the source says', async () => {
    const file = await readFile(join(TRAINER_FOLDER, 'pretext_trainer/protocol.schema.json'), 'utf8')
    expect(file, 'stale: npm run docs').toBe(`${JSON.stringify(protocolJsonSchema(), null, 2)}\n`)
  })

  it('has each kind of job on both sides', async () => {
    const main = await readFile(join(TRAINER_FOLDER, 'pretext_trainer/__main__.py'), 'utf8')
    const kinds = [...(/KINDS = \{([^}]*)\}/.exec(main)?.[1] ?? '').matchAll(/"([\w-]+)":/g)].map(
      ([, k]) => k,
    )
    expect(kinds.sort()).toEqual(Object.keys(JOB_KINDS).sort())
  })

  it('is accepted and refused alike by both sides, and no value is repeated', {
    timeout: 900_000,
  }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'protocol-'))
    const paths = await Promise.all(
      JOBS.map(async ([, job, good], i) => {
        const parsed = JOB_KINDS[job.kind as JobKind].job.safeParse(job)
        expect(parsed.success, `job ${i} in zod`).toBe(good)
        const path = join(folder, `${i}.json`)
        // Defaults are filled in on this side: the trainer wants every field.
        await writeFile(
          path,
          good ? jobFile(job as never) : JSON.stringify({ protocol: 1, job: { ...filled(job), ...job } }),
        )
        return path
      }),
    )
    const old = join(folder, 'old.json')
    await writeFile(old, JSON.stringify({ protocol: 0, job: { kind: 'check' } }))
    const torn = join(folder, 'torn.json')
    await writeFile(torn, '{"protocol": 1, "job": zebra')
    const given = join(folder, 'given.json')
    await writeFile(
      given,
      JSON.stringify({ jobs: [...paths, old, torn], events: EVENTS.map(([, event]) => event) }),
    )
    const { code, stdout, stderr } = await python(['-c', CHECK, given])
    expect(code, stderr).toBe(0)
    const said = JSON.parse(stdout) as { jobs: (string | null)[]; events: boolean[] }
    for (const [i, [name, , good]] of JOBS.entries()) expect(said.jobs[i] === null, name).toBe(good)
    expect(said.jobs[3 + 2]).toMatch(/^the job file breaks the protocol at /)
    expect(said.jobs.at(-2)).toBe('expected a job of protocol 1, got 0')
    expect(said.jobs.at(-1)).toBe(`expected a job file at ${torn}, got none that can be read`)
    for (const [i, [name, event, good]] of EVENTS.entries()) {
      expect(TrainerEvent.safeParse(event).success, name).toBe(good)
      expect(said.events[i], name).toBe(good)
    }
  })
})

/** A whole job of the kind, so that what is refused is the one thing that is wrong. */
function filled(job: Record<string, unknown>): Record<string, unknown> {
  return job.kind === 'train'
    ? (JSON.parse(jobFile(train as never)) as { job: Record<string, unknown> }).job
    : {}
}
