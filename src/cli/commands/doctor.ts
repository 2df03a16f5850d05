// pretext doctor: can this machine run the job, and if not, what is missing. Keys are named, never shown.
import { statfs } from 'node:fs/promises'
import { availableParallelism, freemem } from 'node:os'
import { PretextError } from '../../errors.ts'
import { VERSION } from '../../version.ts'
import { type Check, checkTrainer } from '../check-trainer.ts'
import { defineCommand, outputOf } from '../context.ts'
import { bytes, shown, table } from '../output/output.ts'

const NEEDED_NODE = [20, 19] as const

export const doctorCommand = defineCommand({
  command: 'doctor',
  describe: 'Check this machine: Node, native parts, models, disk, keys',
  builder: (yargs) => yargs,
  async handler(args) {
    const checks: Check[] = [
      node(),
      {
        name: 'processor',
        state: 'ok',
        detail: `${availableParallelism()} cores, ${bytes(freemem())} of memory free`,
      },
      await disk(),
      await loadable(
        'onnxruntime-node',
        'embeddings',
        'npm install onnxruntime-node with ONNXRUNTIME_NODE_INSTALL=skip',
      ),
      await loadable('node-llama-cpp', 'the embedded LLM', 'npm install node-llama-cpp'),
      await loadable(
        'hnswlib-node',
        'approximate neighbours (only for very large populations)',
        'npm install hnswlib-node',
        true,
      ),
      await checkTrainer(),
      ...(await models()),
      ...['OPENAI_API_KEY', 'HF_TOKEN'].map(key),
    ]
    const missing = checks.filter((check) => check.state === 'missing')
    const text = table(checks.map((check) => [check.state, check.name, check.detail]))
    outputOf(args).result(text, { version: VERSION, checks })
    if (missing.length > 0) {
      throw new PretextError(
        `${missing.length} thing(s) missing: ${missing.map((check) => check.name).join(', ')}`,
        {
          code: 'dependency',
          hint: 'the lines marked "missing" above say what to do',
        },
      )
    }
  },
})

function node(): Check {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const enough = major > NEEDED_NODE[0] || (major === NEEDED_NODE[0] && minor >= NEEDED_NODE[1])
  const detail = enough ? process.version : `${process.version}; needed: ${NEEDED_NODE.join('.')} or newer`
  return { name: 'Node', state: enough ? 'ok' : 'missing', detail }
}

async function disk(): Promise<Check> {
  const { bavail, bsize } = await statfs('.')
  const free = bavail * bsize
  return { name: 'disk', state: free < 500e6 ? 'note' : 'ok', detail: `${bytes(free)} free here` }
}

async function loadable(name: string, purpose: string, install: string, optional = false): Promise<Check> {
  try {
    await import(name)
    return { name, state: 'ok', detail: `loads; for ${purpose}` }
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? (error instanceof Error ? error.name : 'error')
    return {
      name,
      state: optional ? 'note' : 'missing',
      detail: `does not load (${why}); for ${purpose}: ${install}`,
    }
  }
}

async function models(): Promise<Check[]> {
  const { listModels } = await import('../../models/list.ts')
  const known = await listModels()
  return known.map((model) => ({
    name: model.id,
    state: model.status === 'present' ? 'ok' : 'note',
    detail:
      model.status === 'present'
        ? shown(model.folder)
        : `${model.status}; fetched on first use (${bytes(model.totalBytes)}), or now: pretext models fetch`,
  }))
}

function key(name: string): Check {
  const set = (process.env[name] ?? '') !== ''
  return { name, state: set ? 'ok' : 'note', detail: set ? 'set' : 'not set; only needed for that service' }
}
