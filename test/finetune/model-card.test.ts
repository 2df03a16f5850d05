// What a model card must say: the privacy of each part, a simulation's banner, a mixture's statement, a dequantised start.
import { describe, expect, it } from 'vitest'
import type { CorpusPart } from '../../src/finetune/corpus.ts'
import { type CardFacts, modelCard } from '../../src/finetune/model-card.ts'
import type { TrainResult } from '../../src/finetune/train-job.ts'
import { SIMULATION_BANNER } from '../../src/report/privacy-statement.ts'
import { exampleReport, simulationReport } from '../report/example.ts'

const result: TrainResult = {
  model: 'model',
  adapter: null,
  gguf: null,
  architecture: 'llama',
  parameters: 13_765_000,
  trainedParameters: 13_765_000,
  vocabulary: 8192,
  dequantised: false,
  device: 'CPU (2 threads)',
  processes: 1,
  precision: 'fp32',
  stages: [
    {
      name: 'training',
      texts: 95,
      heldOut: 5,
      sequences: 95,
      tokens: 4000,
      steps: 20,
      epochs: 20,
      bestEpoch: 18,
      trainLoss: 3.21,
      validationBefore: 6.5,
      validationLoss: 4.25,
      stoppedEarly: true,
      microBatch: 64,
      seconds: 10,
      cpuSeconds: 19,
      tokensPerSecond: 400,
      history: [],
    },
  ],
  versions: { torch: '2.13.0' },
}

const part: CorpusPart = {
  path: '/secret/place/synthetic.jsonl',
  texts: 100,
  report: exampleReport(),
  simulation: false,
}

const card = (change: Partial<CardFacts> = {}) =>
  modelCard({
    name: 'a model',
    corpus: { texts: [], parts: [part], simulation: false, mix: null },
    result,
    base: null,
    publicTexts: 'data/public',
    command: 'pretext train runs/one',
    seed: 7,
    lora: null,
    warnings: [],
    ...change,
  })

describe('the card', () => {
  it('carries the statement of the corpus, losses, seed and how the epoch was chosen', () => {
    const text = card()
    expect(text).toMatch(/^---\nlicense: other\n/)
    expect(text).toContain('training on it is post-processing, which spends no more privacy')
    expect(text).toContain('| Unit of privacy | one client, with all of its texts together |')
    expect(text).toContain('never on evaluation texts')
    expect(text).toContain('| training | 95 | 20 | 18 | 3.2100 | 6.5000 | 4.2500 |')
    expect(text).toContain('13,765,000 parameters')
    expect(text).toContain('seed 7')
    expect(text).not.toContain('/secret/place')
    expect(text).not.toContain(SIMULATION_BANNER.slice(0, 40))
  })

  it('of a simulation begins with the banner and is tagged', () => {
    const simulated = { ...part, report: simulationReport(), simulation: true }
    const text = card({ corpus: { texts: [], parts: [simulated], simulation: true, mix: null } })
    expect(text).toContain('> **Simulation.** The texts behind this run were declared free for experiments')
    expect(text).toContain('- simulation')
    expect(text).toContain('**ε = ∞: no privacy**')
  })

  it('of a mixture has the statement of its owner, and one of each part', () => {
    const text = card({
      corpus: { texts: [], parts: [part, part], simulation: false, mix: 'same people, twice' },
    })
    expect(text).toContain('over the same people epsilons and deltas add up')
    expect(text).toContain('Its owner says: same people, twice')
    expect(text.split('### What this does not cover')).toHaveLength(3)
  })

  it('of a file without a report claims nothing', () => {
    const unknown = { ...part, report: null }
    expect(card({ corpus: { texts: [], parts: [unknown], simulation: false, mix: null } })).toContain(
      'No report lies beside the file synthetic.jsonl that this model was trained on, so nothing is known here of its privacy.',
    )
  })

  it('says what it began with: LoRA, a GGUF that was dequantised, another Hub model', () => {
    const text = card({
      base: 'google/gemma-3-270m',
      lora: { rank: 4, alpha: 8, quantise: 'nf4' },
      result: { ...result, dequantised: true, adapter: 'adapter', trainedParameters: 12 },
      warnings: ['memory ran out with 64 sequences at once'],
    })
    expect(text).toContain('base_model: google/gemma-3-270m')
    expect(text).toContain(
      'LoRA: rank 4, alpha 8, on all projections, over a base in nf4; 12 trained parameters',
    )
    expect(text).toContain('dequantised; not the original ones')
    expect(text).toContain('> **Note.** memory ran out with 64 sequences at once')
  })
})
