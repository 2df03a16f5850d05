// DR-Encoder: the trainer's side (test_dr_encoder.py), the whole job by the protocol, and what the accountant says of it.
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { DrEncoderJob } from '../../src/finetune/dr-encoder-job.ts'
import { python, testPython } from '../trainer/python.ts'

const inputs = {
  kind: 'dr-encoder',
  out: 'out',
  clients: 'clients.jsonl',
  validation: 'validation.jsonl',
  start: 'start',
  delta: 1e-5,
} as const

describe('DR-Encoder', () => {
  it('keeps its promises in the trainer', { timeout: 300_000 }, async () => {
    process.env.PRETEXT_TEST_JOB = JSON.stringify(DrEncoderJob.parse(inputs))
    const { code, stderr } = await python([resolve(import.meta.dirname, 'test_dr_encoder.py'), '-v'])
    expect(stderr).toMatch(/Ran \d\d tests/)
    expect(code, stderr.slice(-6000)).toBe(0)
  })
})
