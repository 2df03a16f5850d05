// pretext models: which models are here, fetch them now, or remove them.

import { PretextError } from '../../errors.ts'
import { defineCommand, interruptible, outputOf } from '../context.ts'
import { bytes, shown, table } from '../output/output.ts'

export const modelsCommand = defineCommand({
  command: 'models [action] [model]',
  describe: 'List models, fetch them now, or remove one from the cache',
  builder: (yargs) =>
    yargs
      .positional('action', {
        choices: ['list', 'fetch', 'rm'] as const,
        default: 'list' as const,
        describe: 'fetch without a name: every built-in model',
      })
      .positional('model', {
        type: 'string',
        describe: 'Built-in name, or hub:owner/name[@revision][:file.gguf]',
      })
      .example('$0 models fetch', 'Everything that the quickstart needs, to go offline afterwards'),
  async handler(args) {
    const { listModels, removeModel } = await import('../../models/list.ts')
    const { BUILT_IN_MODELS } = await import('../../models/manifests.ts')
    const { resolveUserModel } = await import('../../models/user-models.ts')
    const output = outputOf(args)
    if (args.action === 'fetch') {
      const names = args.model === undefined ? BUILT_IN_MODELS.map((m) => m.id) : [args.model]
      const fetched = await interruptible(output, async (signal) => {
        const done = []
        for (const name of names) done.push(await resolveUserModel(name, { onEvent: output.onEvent, signal }))
        return done
      })
      const rows = fetched.map((model) => [model.id, `from ${model.source}`, shown(model.folder)])
      output.result(table(rows), { models: fetched })
      return
    }
    if (args.action === 'rm') {
      if (args.model === undefined) {
        throw new PretextError('expected the name of a model to remove', {
          code: 'usage',
          hint: '"pretext models" lists them',
        })
      }
      const removed = await removeModel(args.model)
      output.result(`removed ${args.model} (${bytes(removed.bytes)})`, removed)
      return
    }
    const models = await listModels()
    const rows = models.map((m) => [m.id, m.kind, m.status, bytes(m.totalBytes), m.licence, shown(m.folder)])
    output.result(table([['model', 'kind', 'status', 'size', 'licence', 'folder'], ...rows]), { models })
  },
})
