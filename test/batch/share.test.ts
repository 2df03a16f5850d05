// The shares of a batch: what Slurm and Kubernetes put into the environment gives disjoint and complete shares.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { shareOf, takeShare } from '../../src/batch/share.ts'

const all = (jobs: number) => Array.from({ length: jobs }, (_, i) => i)
const sorted = (shares: readonly (readonly number[])[]) => shares.flat().sort((a, b) => a - b)

describe('shares', () => {
  it('of a Slurm array are disjoint and complete, whatever the first index and the step', () => {
    fc.assert(
      fc.property(
        fc.nat(200),
        fc.integer({ min: 1, max: 40 }),
        fc.nat(50),
        fc.integer({ min: 1, max: 5 }),
        (jobs, count, first, step) => {
          const shares = all(count).map((task) =>
            takeShare(
              all(jobs),
              shareOf({
                env: {
                  SLURM_ARRAY_TASK_ID: String(first + task * step),
                  SLURM_ARRAY_TASK_COUNT: String(count),
                  SLURM_ARRAY_TASK_MIN: String(first),
                  // Absent where the step is 1, as older versions have it.
                  ...(step === 1 ? {} : { SLURM_ARRAY_TASK_STEP: String(step) }),
                },
              }),
            ),
          )
          expect(sorted(shares)).toEqual(all(jobs))
          const sizes = shares.map((share) => share.length)
          expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
        },
      ),
    )
  })

  it('of a Kubernetes indexed Job are disjoint and complete', () => {
    fc.assert(
      fc.property(fc.nat(200), fc.integer({ min: 1, max: 40 }), (jobs, declared) => {
        const shares = all(declared).map((index) =>
          takeShare(all(jobs), shareOf({ env: { JOB_COMPLETION_INDEX: String(index) }, declared })),
        )
        expect(sorted(shares)).toEqual(all(jobs))
      }),
    )
  })

  it('of --share too, which wins over the environment', () => {
    const env = { JOB_COMPLETION_INDEX: '0' }
    expect(sorted(['1/3', '2/3', '3/3'].map((given) => takeShare(all(10), shareOf({ env, given }))))).toEqual(
      all(10),
    )
  })

  it('without any of them one process does everything, even where the batch file declares a count', () => {
    expect(takeShare(all(5), shareOf({ env: {}, declared: 3 }))).toEqual(all(5))
  })

  it.each([
    [
      { JOB_COMPLETION_INDEX: '0' },
      undefined,
      'expected the number of completions of the indexed Job, got none: Kubernetes does not tell it',
    ],
    [
      { JOB_COMPLETION_INDEX: '4' },
      4,
      'expected JOB_COMPLETION_INDEX to be one of 4 in a row (shares in the batch file), got one outside',
    ],
    [
      { SLURM_ARRAY_TASK_ID: '7', SLURM_ARRAY_TASK_COUNT: '3', SLURM_ARRAY_TASK_MIN: '1' },
      undefined,
      'expected SLURM_ARRAY_TASK_ID to be one of 3 in a row (the array), got one outside',
    ],
    [
      { SLURM_ARRAY_TASK_ID: '7', SLURM_ARRAY_TASK_MIN: '1' },
      undefined,
      'expected a whole number in the environment variable SLURM_ARRAY_TASK_COUNT, got none',
    ],
    [
      { JOB_COMPLETION_INDEX: 'two' },
      4,
      'expected a whole number in the environment variable JOB_COMPLETION_INDEX, got something else',
    ],
  ])('%o is refused', (env, declared, message) => {
    expect(() => shareOf({ env, ...(declared === undefined ? {} : { declared }) })).toThrow(
      expect.objectContaining({ code: 'config', message }),
    )
  })

  it.each([
    [{ JOB_COMPLETION_INDEX: '4' }, 'make "shares" in the batch file equal to the Job\'s spec.completions'],
    [
      { SLURM_ARRAY_TASK_ID: '7', SLURM_ARRAY_TASK_COUNT: '3', SLURM_ARRAY_TASK_MIN: '1' },
      'use an array without gaps, such as --array=0-7',
    ],
  ])('%o is told what to do there', (env, remedy) => {
    expect(() => shareOf({ env, declared: 4 })).toThrow(
      expect.objectContaining({ hint: `${remedy}, or give the share yourself: --share I/N` }),
    )
  })

  it.each(['0/3', '4/3', '1', 'a/b', '1/0'])('--share %s is refused', (given) => {
    expect(() => shareOf({ env: {}, given })).toThrow(
      expect.objectContaining({
        code: 'usage',
        message: `expected --share I/N with I from 1 to N, got "${given}"`,
      }),
    )
  })
})
