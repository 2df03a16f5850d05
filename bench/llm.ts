// Generated tokens per second of the embedded language model, prompts included, against Transformers' generate in fp32 and
// against llama.cpp's own llama-batched-bench, the same GGUF and threads:
// PYTHON=<one with torch, transformers, gguf> BATCHED_BENCH=<llama-batched-bench> npx tsx bench/llm.ts [batches] [tokens] [turns] [threads]
// Without PYTHON or BATCHED_BENCH that arm is left out. Prompts share their beginning, as those of a round do.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createLlamaModel } from '../src/llm/llama.ts'
import { resolveModel } from '../src/models/store.ts'
import { type Arm, here, interleave, type Measured, python, report } from './interleave.ts'

const [sizes = '1,16,64', count = '32', turns = '3', threads = '2'] = process.argv.slice(2)
const tokens = Number(count)
const [file] = (await resolveModel('SmolLM2-135M-Instruct-Q8_0')).files
if (file === undefined) throw new Error('expected the model in the store')
const modelPath = file.absolutePath
const shared =
  'Below are short notes of people about their day.\n1. The train was late again and I read half a book on the platform.\n2. We painted the kitchen yellow, and nobody regrets it so far.\n3. '
const starts = 'My,The,A,Our,In,On,After,Before,Since,When,While,Some,No,Every,This,That'.split(',')
const torch =
  process.env.PYTHON === undefined
    ? undefined
    : python(join(import.meta.dirname, 'llm.py'), [modelPath, threads])

for (const size of sizes.split(',').map(Number)) {
  const prompts = Array.from({ length: size }, (_, i) => `${shared}${starts[i % starts.length]}`)
  const model = await createLlamaModel({
    modelPath,
    sha256: file.sha256,
    sequences: size,
    contextTokens: 256,
    gpu: false,
    threads: Number(threads),
  })
  let seed = 0
  let generated = 0
  const arms: Record<string, Arm> = {
    pretext: () =>
      here(async () => {
        const completions = await Promise.all(
          prompts.map((prompt) =>
            model.complete({
              input: { prompt },
              sampling: { temperature: 1, topP: 0.95 },
              maxTokens: tokens,
              stop: [],
              seed: seed++,
            }),
          ),
        )
        generated = completions.reduce((sum, { completionTokens }) => sum + completionTokens, 0)
      }).then((measured) => perToken(measured, generated)),
  }
  if (torch !== undefined) {
    arms['Transformers generate, fp32'] = async () => {
      const answer = await torch.ask<Measured & { tokens: number }>({ prompts, tokens })
      return perToken(answer, answer.tokens)
    }
  }
  if (process.env.BATCHED_BENCH !== undefined) {
    arms['llama-batched-bench, one prompt for all'] = () => batchedBench(size, true)
    arms['llama-batched-bench, a prompt each'] = () => batchedBench(size, false)
  }
  const summary = await interleave(arms, Number(turns))
  report(
    `${size} texts of ${tokens} tokens, ${threads} threads (ms for 1,000 tokens)`,
    summary,
    1000,
    'tokens',
  )
  await model.dispose()
}
torch?.close()

/** For a thousand tokens: texts may end early. */
function perToken({ wallMs, cpuMs }: Measured, generated: number): Measured {
  return { wallMs: (1000 * wallMs) / generated, cpuMs: (1000 * cpuMs) / generated }
}

/** Prompt and generation; it does not draw from the probabilities. Ours lies between: prompts begin alike and end differently. */
async function batchedBench(size: number, shared: boolean): Promise<Measured> {
  const prompt = 56
  const context = (shared ? prompt : size * prompt) + size * (tokens + 1) + 64
  const args = `-npp ${prompt} -ntg ${tokens} -npl ${size} ${shared ? '-pps ' : ''}-c ${context} -b 512 -ub 512 -t ${threads} -tb ${threads} --output-format jsonl`
  const { stdout } = await promisify(execFile)(process.env.BATCHED_BENCH as string, [
    '-m',
    modelPath,
    ...args.split(' '),
  ])
  const line = stdout.split('\n').find((text) => text.startsWith('{'))
  const { t } = JSON.parse(line ?? '{}') as { t: number }
  return perToken({ wallMs: 1000 * t, cpuMs: Number.NaN }, size * tokens)
}
