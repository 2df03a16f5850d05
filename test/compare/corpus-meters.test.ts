// What the training on a corpus costs is the server's, for every arm that trains on one, and texts that are gathered were sent.
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { ArmTask } from '../../src/compare/arm.ts'
import { centralDp } from '../../src/compare/arms/central-dp.ts'
import { privateTexts } from '../../src/compare/arms/private.ts'
import { gatherTexts } from '../../src/compare/gathered.ts'
import { NO_METERS } from '../../src/compare/meters.ts'
import { trainOnCorpus } from '../../src/compare/train-corpus.ts'
import { armGround } from '../finetune/arm-ground.ts'
import { armTask } from '../finetune/arm-task.ts'
import { testPython } from '../trainer/python.ts'

it('the training is added to what the corpus cost, and private texts are sent as central-dp sends them', {
  timeout: 600_000,
}, async () => {
  const ground = await armGround(20)
  const taskOf = async (): Promise<ArmTask> => {
    const { task } = await armTask(ground, Number.POSITIVE_INFINITY)
    const validate = async () => ({ loss: 1, accuracy: 0, tokens: 1 })
    return { ...task, python: await testPython(), training: { epochs: 1, batch: 8 }, validate }
  }
  const { texts, meters: sent } = await gatherTexts(ground.inputs.clients)
  const made = { ...NO_METERS, llmTokens: 5, serverCpuSeconds: 1000 }
  const { meters, measures } = await trainOnCorpus(await taskOf(), texts, { publicShare: 0 }, made)
  expect(measures).toMatchObject({ corpusTexts: texts.length, publicTexts: 0 })
  const few = await trainOnCorpus(await taskOf(), texts, { publicShare: 0, corpusTexts: 20 }, made)
  expect(few.measures).toMatchObject({ corpusTexts: 20 })
  expect(few.measures?.trainingSteps).toBeLessThan(measures?.trainingSteps as number)
  expect(meters).toEqual({ ...made, serverCpuSeconds: expect.any(Number) })
  expect(meters.serverCpuSeconds).toBeGreaterThan(1000)
  expect(meters.serverCpuSeconds).toBeLessThan(1060)
  // Again, whole and finished: the same time, from its record.
  const task = await taskOf()
  const own = await privateTexts.run(task, privateTexts.settings.parse({}))
  expect(own.meters).toEqual({ ...sent, serverCpuSeconds: expect.any(Number) })
  expect(own.meters.serverCpuSeconds).toBeGreaterThan(0)
  expect((await privateTexts.run(task, privateTexts.settings.parse({}))).meters).toEqual(own.meters)
  const pooled = await centralDp.run(await taskOf(), centralDp.settings.parse({ steps: 1, rate: 1 }))
  const upload = ({ rounds, participations, bytesUpPerClientRound }: typeof sent) => ({
    rounds,
    participations,
    bytesUpPerClientRound,
  })
  expect(upload(own.meters)).toEqual(upload(pooled.meters))
  expect(own.meters.bytesUpPerClientRound).toBeGreaterThan(20)
})

it('a client sends all its texts in one message', async () => {
  const file = join(await mkdtemp(join(tmpdir(), 'gathered-')), 'clients.jsonl')
  const rows = [
    { client: 'a', text: 'é"' },
    { client: 'b', text: 'three' },
    { client: 'a', text: 'two' },
  ]
  await writeFile(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  const { texts, meters } = await gatherTexts(file)
  expect(texts).toEqual(['é"', 'three', 'two'])
  // ["é\"", "two"] is 15 bytes, ["three"] is 9.
  expect(meters).toEqual({ ...NO_METERS, rounds: 1, participations: 2, bytesUpPerClientRound: 12 })
})
