// A training in a process of its own, to be killed in the middle: node train-child.ts OUT CORPUS.
import { readTrainingCorpus } from '../../src/finetune/corpus.ts'
import { trainModel } from '../../src/finetune/train.ts'
import { TINY } from './tiny-training.ts'

const [, , out = '', corpus = ''] = process.argv
let stage = ''
await trainModel({
  ...TINY,
  out,
  corpus: await readTrainingCorpus([corpus]),
  settings: { ...TINY.settings, checkpointSteps: 4 },
  onEvent(event) {
    if (event.type === 'stage') stage = event.label
    if (event.type === 'artefact' && event.kind === 'checkpoint') {
      process.stdout.write(`${stage}: checkpoint ${event.path.split('-').at(-1)?.replace(/^0+/, '')}\n`)
    }
  },
})
