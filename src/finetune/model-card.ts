// The card of a trained model: README.md with the front matter that the Hugging Face Hub reads. It carries the privacy
// statement of the corpus: training on what was released is post-processing, and spends nothing more.
import { stringify } from 'yaml'
import { bulletList, fenced, inline, markdownTable, privacyParagraphs } from '../report/card.ts'
import { privacyStatement, SIMULATION_BANNER } from '../report/privacy-statement.ts'
import { VERSION } from '../version.ts'
import type { CorpusPart, TrainingCorpus } from './corpus.ts'
import type { TrainResult } from './train-job.ts'

export interface CardFacts {
  readonly name: string
  /** null: public texts alone. */
  readonly corpus: TrainingCorpus | null
  readonly result: TrainResult
  /** What training began with; null where it began with random weights. */
  readonly base: string | null
  readonly publicTexts: string | null
  readonly command: string
  readonly seed: number
  readonly lora: { readonly rank: number; readonly alpha: number; readonly quantise: string } | null
  /** Said at the top: what a reader must know before the figures. */
  readonly warnings: readonly string[]
}

function privacyOf(part: CorpusPart): string {
  if (part.report === null) {
    return `No report lies beside the file ${inline(part.path.split(/[\\/]/).at(-1) ?? '')} that this model was trained on, so nothing is known here of its privacy.`
  }
  const statement = privacyStatement(part.report)
  return [
    `**${statement.headline}** (run ${inline(part.report.run.id)}, data set ${inline(part.report.run.dataset)})`,
    ...privacyParagraphs(statement),
  ].join('\n\n')
}

export function privacySection(corpus: TrainingCorpus | null): string[] {
  if (corpus === null) return ['Trained on public texts alone; no private text was used.']
  const carried =
    'The model was trained on synthetic texts alone. What follows is the statement of the corpus; training on it is post-processing, which spends no more privacy.'
  const mixed =
    corpus.mix === null
      ? []
      : [
          '**A mixture of several corpora.** The statements below hold each for its own part; over the same people epsilons and deltas add up.',
          `Its owner says: ${inline(corpus.mix)}`,
        ]
  return [carried, ...mixed, ...corpus.parts.map(privacyOf)]
}

/** README.md of a trained model, ending in a newline. */
export function modelCard(facts: CardFacts): string {
  const { corpus, result, base, lora } = facts
  const simulation = corpus?.simulation === true
  const front = stringify(
    {
      license: 'other',
      library_name: 'transformers',
      pipeline_tag: 'text-generation',
      ...(base === null || !/^[\w.-]+\/[\w.-]+$/.test(base) ? {} : { base_model: base }),
      tags: ['pretext', 'differential-privacy', ...(simulation ? ['simulation'] : [])],
    },
    { lineWidth: 0 },
  )
  const figure = (value: number | null): string => (value === null ? '' : value.toFixed(4))
  const parts = [
    `# ${inline(facts.name)}`,
    simulation ? `> **${SIMULATION_BANNER.replace('. ', '.** ')}` : '',
    ...facts.warnings.map((warning) => `> **Note.** ${inline(warning)}`),
    '## Privacy',
    ...privacySection(corpus),
    '## How it was made',
    bulletList([
      base === null
        ? `from random weights: ${result.architecture}, ${result.parameters.toLocaleString('en-US')} parameters, a vocabulary of ${result.vocabulary}`
        : `from ${base}: ${result.architecture}, ${result.parameters.toLocaleString('en-US')} parameters`,
      ...(result.dequantised
        ? ['its start was a GGUF: weights that had been rounded, dequantised; not the original ones']
        : []),
      ...(lora === null
        ? ['all weights were trained']
        : [
            `LoRA: rank ${lora.rank}, alpha ${lora.alpha}, on all projections${lora.quantise === 'none' ? '' : `, over a base in ${lora.quantise}`}; ${result.trainedParameters.toLocaleString('en-US')} trained parameters, merged in model/`,
          ]),
      ...(facts.publicTexts === null ? [] : [`public pre-training on ${facts.publicTexts}`]),
      'the best epoch was chosen on synthetic texts held out from training, never on evaluation texts',
      `seed ${facts.seed}, ${result.precision} on ${result.device}${result.processes > 1 ? ` and ${result.processes - 1} more` : ''}`,
      `pretext ${VERSION}, ${Object.entries(result.versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(', ')}`,
    ]),
    fenced(facts.command),
    '## Losses',
    markdownTable(
      ['Stage', 'Texts', 'Epochs', 'Best', 'Training loss', 'Held out, before', 'Held out, after'],
      result.stages.map((stage) => [
        inline(stage.name),
        String(stage.texts),
        String(Number(stage.epochs.toFixed(2))),
        stage.bestEpoch === null ? '' : String(Number(stage.bestEpoch.toFixed(2))),
        figure(stage.trainLoss),
        figure(stage.validationBefore),
        figure(stage.validationLoss),
      ]),
    ),
    'Cross-entropy for each token, in nats. Held-out texts are of the same kind as those trained on (public, or synthetic): what the model does on real texts is what "pretext evaluate" measures.',
    '## Use',
    bulletList([
      'model/ loads with Transformers: AutoModelForCausalLM.from_pretrained("model")',
      ...(result.adapter === null ? [] : ['adapter/ is the LoRA adapter alone, for PEFT']),
      ...(result.gguf === null
        ? []
        : ['model.gguf runs in llama.cpp, and in pretext with llm.provider: llama, llm.model: model.gguf']),
    ]),
  ]
  return `---\n${front}---\n\n${parts.filter((part) => part !== '').join('\n\n')}\n`
}
