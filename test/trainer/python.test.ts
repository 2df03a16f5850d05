// The trainer's own tests (Python's unittest), with the environment that pretext makes.
import { resolve } from 'node:path'
import { expect, it } from 'vitest'
import { python } from './python.ts'

it.each([
  ['the parts of the trainer', 'test_trainer.py'],
  ['whole trainings', 'test_training.py'],
  ['GGUF files', 'test_gguf.py'],
])('%s keep their promises', { timeout: 900_000 }, async (_, file) => {
  const { code, stderr } = await python([resolve(import.meta.dirname, file), '-v'])
  expect(stderr).toMatch(/Ran \d+ tests/)
  expect(code, stderr.slice(-6000)).toBe(0)
})
