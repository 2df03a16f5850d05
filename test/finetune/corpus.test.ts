// What training accepts as a corpus: one run, with its report; a mixture only where its owner states what it is.
import { copyFile, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { readTrainingCorpus } from '../../src/finetune/corpus.ts'
import { corpusRun } from './corpus-run.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'corpus-'))
})

describe('a corpus', () => {
  it('is read from a run folder, with the report that says its epsilon', async () => {
    const run = await corpusRun(join(folder, 'one'))
    const corpus = await readTrainingCorpus([run])
    expect(corpus.texts).toHaveLength(40)
    expect(corpus).toMatchObject({ simulation: false, mix: null })
    expect(corpus.parts[0]?.report?.privacy.epsilon).toBe(7.58)
    const byFile = await readTrainingCorpus([join(run, 'synthetic.jsonl')])
    expect(byFile.parts[0]?.report?.run.id).toBe('run-one')
  })

  it('is read from any file of texts, of which then nothing is known', async () => {
    const csv = join(folder, 'texts.csv')
    await writeFile(csv, 'text,label\none mail parser,a\n"two, image",b\n')
    const corpus = await readTrainingCorpus([csv])
    expect(corpus.texts).toEqual(['one mail parser', 'two, image'])
    expect(corpus.labels).toEqual(['a', 'b'])
    expect(corpus.parts[0]?.report).toBeNull()
  })

  it('of a simulation says so, by its report or by the banner beside an exported file', async () => {
    const run = await corpusRun(join(folder, 'simulated'), { simulation: true })
    expect((await readTrainingCorpus([run])).simulation).toBe(true)
    const file = join(folder, 'exported.jsonl')
    await writeFile(file, '{"text":"a b"}\n')
    await writeFile(`${file}.SIMULATION.txt`, 'Simulation.\n')
    expect((await readTrainingCorpus([file])).simulation).toBe(true)
  })

  it('that is empty, absent or broken is an error that quotes nothing', async () => {
    const empty = join(folder, 'empty.jsonl')
    await writeFile(empty, '{"text":"  "}\n')
    await expect(readTrainingCorpus([empty])).rejects.toThrow(
      `${empty}: expected synthetic texts to train on, got none`,
    )
    await expect(readTrainingCorpus(['no/such'])).rejects.toThrow(
      'no/such: expected a run folder or a file of synthetic texts, found nothing',
    )
    await expect(readTrainingCorpus([folder])).rejects.toThrow(
      `${folder}: expected a finished run with its report.json, found none`,
    )
    const broken = join(folder, 'broken.jsonl')
    await writeFile(broken, '{"text":"a"}\n{"text": zebra\n')
    const error = await readTrainingCorpus([broken]).catch((e: Error) => e)
    expect((error as Error).message).toMatch(/broken\.jsonl:2/)
    expect((error as Error).message).not.toMatch(/zebra/)
  })
})

describe('a mixture of runs', () => {
  it('is refused by name and epsilon, and taken with a statement', async () => {
    const one = await corpusRun(join(folder, 'a'), { id: 'run-a', epsilon: 7.58 })
    const two = await corpusRun(join(folder, 'b'), { id: 'run-b', epsilon: 1.29 })
    await expect(readTrainingCorpus([one, two])).rejects.toThrow(
      /^expected the corpus of one run, got 2: run-a \(data set [^,]+, epsilon 7\.58\) and run-b \(data set [^,]+, epsilon 1\.29\)$/,
    )
    const mix = 'both runs are over the same clients; together epsilon 8.87'
    const corpus = await readTrainingCorpus([one, two], { mix })
    expect(corpus).toMatchObject({ mix, simulation: false })
    expect(corpus.texts).toHaveLength(80)
    await expect(readTrainingCorpus([one, two], { mix: 'yes' })).rejects.toThrow(
      'expected a statement of what the mixture is after --mix (ten characters at least), got less',
    )
  })

  it('is noticed inside one folder: more rows than its report speaks of', async () => {
    const run = await corpusRun(join(folder, 'more'), { extra: 3 })
    await expect(readTrainingCorpus([run])).rejects.toThrow(
      `${join(run, 'synthetic.jsonl')}: expected the 40 texts that the report of run run-one (epsilon 7.58) speaks of, got 43: another corpus may be mixed in`,
    )
  })

  it('is noticed in place of the corpus: as many rows, and none of those that the report shows', async () => {
    const run = await corpusRun(join(folder, 'replaced'), { id: 'run-a', epsilon: 7.58 })
    const other = await corpusRun(join(folder, 'other'), { id: 'run-b', epsilon: 1.29 })
    await copyFile(join(other, 'synthetic.jsonl'), join(run, 'synthetic.jsonl'))
    await expect(readTrainingCorpus([run])).rejects.toMatchObject({
      code: 'data',
      message: `${join(run, 'synthetic.jsonl')}: expected the corpus of run run-a (epsilon 7.58), got texts without those that its report shows: another corpus may be in its place`,
    })
  })

  /** Every second row from another run, but for those that the report shows: as many rows, and all samples are there. */
  async function halfSwapped(name: string, hashed: boolean): Promise<string> {
    const run = await corpusRun(join(folder, name), { id: 'run-a', hashed })
    const other = await corpusRun(join(folder, `${name}-other`), { id: 'run-b' })
    const linesOf = async (path: string) =>
      (await readFile(join(path, 'synthetic.jsonl'), 'utf8')).trimEnd().split('\n')
    const [own, foreign] = [await linesOf(run), await linesOf(other)]
    const mixed = own.map((line, i) => (i >= 3 && i % 2 === 1 ? foreign[i] : line))
    await writeFile(join(run, 'synthetic.jsonl'), `${mixed.join('\n')}\n`)
    return run
  }

  it('is noticed row by row: half of them swapped, and none that the report shows', async () => {
    const run = await halfSwapped('swapped', true)
    const file = join(run, 'synthetic.jsonl')
    for (const input of [run, file]) {
      await expect(readTrainingCorpus([input])).rejects.toMatchObject({
        code: 'data',
        message: expect.stringMatching(
          /synthetic\.jsonl: expected the corpus that run run-a \(epsilon 7\.58\) wrote, sha256 [0-9a-f]{12}\.\.\., got sha256 [0-9a-f]{12}\.\.\.: rows were changed, or another corpus is mixed in$/,
        ),
        hint: expect.stringContaining('--mix'),
      })
    }
    const mix = 'half of it is of another run over other clients'
    expect(await readTrainingCorpus([run], { mix })).toMatchObject({ mix })
  })

  it('is not held against a report of before it knew the bytes of its corpus', async () => {
    const whole = await corpusRun(join(folder, 'old'), { hashed: false })
    expect((await readTrainingCorpus([whole])).texts).toHaveLength(40)
    expect((await readTrainingCorpus([await halfSwapped('old-swapped', false)])).mix).toBeNull()
  })

  it('is noticed by rows that name their run', async () => {
    const run = await corpusRun(join(folder, 'rows'), {
      row: (i) => ({ run: i < 39 ? 'run-one' : 'run-nine' }),
    })
    await expect(readTrainingCorpus([run])).rejects.toThrow(
      `${join(run, 'synthetic.jsonl')}: expected the rows of one run, got rows of 2: run-one, run-nine`,
    )
    const file = join(folder, 'foreign.jsonl')
    await writeFile(file, '{"text":"a b","run":"x"}\n{"text":"c d","run":"y"}\n')
    await expect(readTrainingCorpus([file])).rejects.toThrow(
      'expected the rows of one run, got rows of 2: x, y',
    )
  })
})
