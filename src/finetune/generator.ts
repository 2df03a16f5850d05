// A generator cannot teach itself: the model that wrote the corpus finds nothing in it that it would not have written, and
// any gain measured is one of form. (Trained so, SmolLM2-135M gained less from its own corpora than from unrelated public
// text.) So the model that a corpus came from is refused as the model to tune.
import { basename } from 'node:path'

/**
 * The family and size in a model's name, whatever its wrapping: `llama:SmolLM2-135M-Instruct.Q4_1.gguf@sha256:...`,
 * `HuggingFaceTB/SmolLM2-135M-Instruct` and the folder `SmolLM2-135M-Instruct` are one model. Its base model, which the
 * instruct model is a tuning of, is another.
 */
export function modelName(reference: string): string {
  const withoutProvider = reference.replace(/^(llama|openai|huggingface|hub|scripted):/, '')
  const withoutRevision = withoutProvider.replace(/@.*$/, '')
  const file = basename(withoutRevision.replace(/.*:(?=[^:]+\.gguf$)/, ''))
  return file
    .toLowerCase()
    .replace(/\.gguf$/, '')
    .replace(/[.-]((i?q\d\w*)|f16|f32|bf16|fp16|gguf)$/, '')
    .replace(/[^a-z0-9]+/g, '')
}

/** Whether the model to train is the one that wrote a corpus, by its name. */
export function isGenerator(model: string, generator: string): boolean {
  const name = modelName(model)
  // What a training leaves is called model/ and model.gguf, whatever it is: that name says nothing.
  return name !== '' && name !== 'model' && name === modelName(generator)
}
