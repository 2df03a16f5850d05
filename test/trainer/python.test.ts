// The trainer's own tests (Python's unittest), with the environment that pretext makes.
import { resolve } from 'node:path'
import { expect, it } from 'vitest'
import { python } from './python.ts'

it('the parts of the trainer keep their promises', { timeout: 900_000 }, async () => {
  const { code, stderr } = await python([resolve(import.meta.dirname, 'test_trainer.py'), '-v'])
  expect(stderr).toMatch(/Ran \d\d tests/)
  expect(code, stderr.slice(-6000)).toBe(0)
})
