import { expect, it } from 'vitest'
import { lockStep } from '../../src/llm/lock-step.ts'

/** Lets everything that can go on go on. */
const settle = () => new Promise((resolve) => setImmediate(resolve))

it('lets all take a step when the last one is here, in the order of their places', async () => {
  const steps = lockStep()
  const gone: number[] = []
  for (const place of [2, 0, 1]) steps.join(place)
  const walk = (place: number) => steps.next(place).then(() => gone.push(place))
  walk(2)
  walk(1)
  await settle()
  expect(gone).toEqual([])
  walk(0)
  await settle()
  expect(gone).toEqual([0, 1, 2])
})

it('waits for one that joins in between, and for none that has left', async () => {
  const steps = lockStep()
  const gone: number[] = []
  const walk = (place: number) => steps.next(place).then(() => gone.push(place))
  steps.join(0)
  steps.join(1)
  walk(0)
  steps.join(5)
  walk(1)
  await settle()
  expect(gone).toEqual([])
  steps.leave(5)
  await settle()
  expect(gone).toEqual([0, 1])
  steps.leave(0)
  walk(1)
  await settle()
  expect(gone).toEqual([0, 1, 1])
})

it('whoever leaves while all others wait lets them go, and the last one leaves nothing behind', async () => {
  const steps = lockStep()
  let steps1 = 0
  steps.join(0)
  steps.join(1)
  const walking = (async () => {
    for (; steps1 < 3; steps1++) await steps.next(1)
    steps.leave(1)
  })()
  await settle()
  expect(steps1).toBe(0)
  steps.leave(0)
  await walking
  steps.join(7)
  await steps.next(7)
})
