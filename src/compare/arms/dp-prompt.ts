// DP-Prompt: every text is rewritten on its device by a language model whose tokens are drawn by an exponential mechanism, and
// a model is trained on what was written. Its epsilon is of ONE text (local DP), and a client pays it for each of its texts:
// another promise than that of the arms with DP for a client, so it stands in a group of its own.
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { PretextError } from '../../errors.ts'
import { loadTemplate } from '../../evolution/variation/template.ts'
import { startingModel } from '../../finetune/starting-model.ts'
import { promptsFolder } from '../../run/generate.ts'
import { namedModel } from '../../run/models.ts'
import { type ArmTask, defineArm } from '../arm.ts'
import { trainOnCorpus } from '../train-corpus.ts'
import { TRAINING_GRID, TRAINING_SETTINGS } from '../training.ts'
import { dependsHash } from '../unit.ts'

const count = z.int().min(1)

export const dpPrompt = defineArm({
  name: 'dp-prompt',
  about: 'each text is rewritten on its device by a language model with noisy token choice (DP-Prompt)',
  guarantee: 'text',
  epsilons: 'each',
  onCorpora: true,
  settings: z.strictObject({
    ...TRAINING_SETTINGS,
    /** Folder, GGUF or Hub id; by default the embedded language model of the run. */
    model: z.string().optional(),
    /** Range that logits are clipped to; it must depend on no private text. */
    low: z.number().default(0),
    high: z.number().default(20),
    tokens: count.default(40),
    textsPerClient: count.nullable().default(8),
  }),
  grid: { ...TRAINING_GRID, tokens: [20, 40] },
  async run(task, { model, low, high, tokens, textsPerClient, ...training }) {
    const depends = { epsilon: task.epsilon, corpus: task.corpus, model, low, high, tokens, textsPerClient }
    const made = await task.shared(`epsilon-${task.epsilon}-${dependsHash(depends)}`, async (out, resume) => {
      const loaded = await task.configured()
      const { completion } = await loadTemplate('rewrite', promptsFolder(loaded))
      return task.runJob<'dp-prompt'>({
        kind: 'dp-prompt',
        out,
        resume,
        clients: task.inputs.clients,
        model: await writer(task, model),
        prompt: completion.prompt.replace('{about}', '').trimEnd(),
        epsilon: Number.isFinite(task.epsilon) ? task.epsilon : null,
        low,
        high,
        tokens,
        textsPerClient,
        seed: task.corpus,
        device: task.inputs.device,
        threads: task.inputs.threads,
      })
    })
    const rows = (await readFile(made.corpus, 'utf8')).split('\n').filter((line) => line !== '')
    const texts = rows.map((row) => (JSON.parse(row) as { text: string }).text)
    const trained = await trainOnCorpus(task, texts, training, {
      rounds: 1,
      participations: made.clients,
      bytesDownPerClientRound: 0,
      bytesUpPerClientRound: made.bytesUpPerClient,
      clientCpuSecondsPerRound: made.clientCpuSeconds,
      clientFlopsPerRound: made.clientFlops,
      // The texts are rewritten on the devices.
      serverCpuSeconds: 0,
      llmTokens: made.llmTokens,
    })
    return {
      ...trained,
      mechanisms: [],
      measures: {
        ...trained.measures,
        epsilonPerText: made.epsilonPerText ?? 'infinite',
        temperature: made.temperature,
        parametersOnDevice: made.parameters,
      },
    }
  },
})

async function writer({ configured, onEvent, signal }: ArmTask, model: string | undefined) {
  const loaded = await configured()
  const { llm } = loaded.config
  if (model === undefined && llm.provider !== 'llama') {
    throw new PretextError(`expected a language model on the device for dp-prompt, got ${llm.provider}`, {
      code: 'config',
      hint: 'private texts leave no device: llm.provider: llama, or name a folder or GGUF as the setting "model"',
    })
  }
  return startingModel(namedModel(model ?? llm.model, loaded), { onEvent, signal })
}
