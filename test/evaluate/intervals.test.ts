// The intervals of the trainer: both kinds must give the standard error that theory gives for a mean over clients of unequal
// size, and half-samples must not shift a statistic that depends on doubled rows.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { trainerPython } from '../../src/finetune/environment.ts'
import { TRAINER_FOLDER } from '../../src/finetune/run-job.ts'

const SCRIPT = `
import json
import numpy as np
from pretext_trainer.evaluate_intervals import bootstrap, half_samples, interval
random = np.random.default_rng(4)
groups = np.repeat(np.arange(300), random.integers(1, 7, 300))
values = random.normal(size=300)[groups] + 0.5 * random.normal(size=len(groups))
sums, counts = np.bincount(groups, values), np.bincount(groups)
mean = values.mean()
# Of a ratio of sums over clients (Cochran, Sampling Techniques, 6.4).
theory = 1.96 * np.sqrt(((sums - mean * counts) ** 2).sum() * 300 / 299) / counts.sum()
weighted = lambda shift: bootstrap(groups, lambda w: float(w @ values / w.sum()) + shift, 2000, 0)
halved = lambda shift: half_samples(groups, lambda rows: float(values[rows].mean()) + shift, 2000, 0)
drawn, halves = interval([weighted(0)], 0), interval([halved(0)], 0)
# Four corpora that differ by what 0, 1, 2, 3 differ by, each measured on the same clients.
several = {"bootstrap": interval([weighted(k) for k in range(4)], 0), "halves": interval([halved(k) for k in range(4)], 0)}
repeated = interval([half_samples(groups, lambda rows: len(np.unique(rows)) / len(rows), 50, 0)], 0)
print(json.dumps({"mean": mean, "theory": theory, "drawn": drawn, "halves": halves, "repeated": repeated,
                  "several": several, "one": interval([half_samples([0, 0, 0], lambda rows: 2.0, 50, 0)], 0)}))
`

it('the bootstrap and the half-samples agree with theory (300 clients, 2,000 draws, seeded)', async () => {
  const { stdout } = await promisify(execFile)(await trainerPython(), ['-c', SCRIPT], {
    env: { ...process.env, PYTHONPATH: TRAINER_FOLDER, PYTHONDONTWRITEBYTECODE: '1' },
  })
  const { mean, theory, drawn, halves, repeated, several, one } = JSON.parse(stdout)
  for (const [value, low, high] of [drawn, halves]) {
    expect(value).toBeCloseTo(mean, 9)
    expect((high - low) / 2 / theory).toBeGreaterThan(0.93)
    expect((high - low) / 2 / theory).toBeLessThan(1.07)
  }
  // Over corpora the variance between them comes on top: of a mean of four, with n in the bootstrap and n - 1 in the other.
  for (const [name, between] of [
    ['bootstrap', 1.25 / 4],
    ['halves', 5 / 3 / 4],
  ] as const) {
    const [value, low, high] = several[name]
    expect(value).toBeCloseTo(mean + 1.5, 9)
    const expected = 1.96 * Math.sqrt((theory / 1.96) ** 2 + between)
    expect((high - low) / 2 / expected, name).toBeGreaterThan(0.9)
    expect((high - low) / 2 / expected, name).toBeLessThan(1.1)
  }
  expect(repeated).toEqual([1, 1, 1])
  // One client has no halves: no interval is claimed.
  expect(one).toEqual([2, 2, 2])
})
