// Training on the devices, in Python's own tests with the environment that pretext makes: the arithmetic that an epsilon rests
// on, and whole runs of a second each.
import { resolve } from 'node:path'
import { expect, it } from 'vitest'
import { python } from '../trainer/python.ts'

it.each([
  ['noise, bounds, sensitivities, draws and groups', 'test_federated_noise.py'],
  ['whole runs, and bugs planted in them', 'test_federated_runs.py'],
  ['clients side by side', 'test_side_by_side.py'],
])('%s keep their promises', { timeout: 900_000 }, async (_, file) => {
  const { code, stderr } = await python([resolve(import.meta.dirname, file), '-v'])
  expect(stderr).toMatch(/Ran \d+ tests/)
  expect(code, stderr.slice(-6000)).toBe(0)
})
