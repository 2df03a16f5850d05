// The sentence embedder: an ONNX encoder in this process, mean pooling over the attention mask, L2 norm 1 (Sentence-BERT,
// arXiv 1908.10084, section 3; PrE-Text embeds with all-MiniLM-L6-v2).
//
// It works in threads, each with an encoder of its own on one core: the texts of one client are few, and cores that share a
// few texts wait for each other (two threads with a core each did 88 texts/s in calls of 4, one with both 63). On a GPU
// the threads are for the tokenizer, which is what the GPU waits for.
//
// Batch invariance: on the x64 CPU with the int8 all-MiniLM-L6-v2 (weights stored as int8, computed in fp32) values of a text's
// embedding alone and among 127 others differed by 3e-8 at most (test/embeddings/onnx-minilm.test.ts). So a caller that holds private
// texts calls once per client.
import { stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { startThread, threadsThatFit } from '../thread.ts'
import { type DeviceName, placeOnDevice } from './device.ts'
import type { Embedder } from './embedder.ts'
import { onnxIdentity } from './encode.ts'
import { type EncoderThread, encoderThreads, pieces } from './encoder-threads.ts'
import { type Matrix, matrix, row } from './matrix.ts'
import { checkModelFolder, type Dtype, weightsFile } from './model-folder.ts'
import { forbidTelemetry } from './onnx-runtime.ts'

export interface OnnxEmbedderOptions {
  /** A local folder in the layout of transformers.js (see model-folder.ts). */
  readonly folder: string
  readonly dtype: Dtype
  /** `auto`: the faster of a GPU that works and the cpu (device.ts). */
  readonly device: 'auto' | DeviceName
  /** A text is cut after this many tokens, special tokens counted. Default 128, what all-MiniLM-L6-v2 was trained on. */
  readonly maxTokens?: number
  /** Name and hash of the weights, for the identity. */
  readonly modelId: string
  readonly sha256: string
  /** Of the CPU; default all cores. */
  readonly threads?: number
  readonly hasGpu?: () => boolean
}

/** Threads with an encoder each: more cost memory for little (on a CPU they then have more cores each). */
const MOST_THREADS = { cpu: 8, webgpu: 1, cuda: 8 } as const
/** Of the machine's memory, for all of them. */
const MEMORY_SHARE = 0.25
/** Seen of an encoder with 23 MB of weights: 280 MB, with its tokenizer and the weights in 32 bits. */
const MEMORY = { own: 2 ** 28, ofWeights: 4 } as const

/** Characters that go to a thread at once: small enough that all threads have work, and a GPU full passes. */
const PIECE_CHARACTERS = { cpu: 1_024, webgpu: 65_536, cuda: 16_384 } as const

/** What devices are compared on: about what one client has. */
const TRIAL = Array.from({ length: 4 }, () =>
  'a sentence of some words that stands for the usual text '.repeat(4),
)

export async function createOnnxEmbedder(options: OnnxEmbedderOptions): Promise<Embedder> {
  const { folder, dtype, maxTokens = 128, modelId, threads = availableParallelism() } = options
  checkModelFolder(folder, dtype)
  // The threads could only read the variable.
  forbidTelemetry()
  const { size } = await stat(join(folder, weightsFile(dtype)))
  const fit = threadsThatFit(MEMORY.own + MEMORY.ofWeights * size, MEMORY_SHARE)
  let started = 0
  const start = async (device: DeviceName) => {
    const thread: EncoderThread = startThread(new URL('encoder-thread', import.meta.url))
    const most = Math.max(1, Math.min(MOST_THREADS[device], threads, fit))
    // The cores are shared out whole: of 12 among 8 threads the later ones have two.
    const cores = Math.floor((threads + (started++ % most)) / most)
    try {
      const dim = await thread.ask<number>({
        type: 'load',
        options: { folder: resolve(folder), dtype, device, maxTokens, threads: cores },
      })
      return { thread, dim, most }
    } catch (error) {
      await thread.close()
      throw error
    }
  }
  const { loaded, device } = await placeOnDevice(
    options.device,
    async (name) => {
      const loaded = await start(name)
      const { thread, most } = loaded
      const run = () => thread.ask<Matrix>({ type: 'embed', texts: TRIAL })
      try {
        const { values } = await run()
        if (!values.every(Number.isFinite)) throw new Error('it gave numbers that are not finite')
      } catch (error) {
        await thread.close()
        throw error
      }
      return { loaded, atOnce: most, run, dispose: () => thread.close() }
    },
    options.hasGpu === undefined ? {} : { hasGpu: options.hasGpu },
  )
  const { dim, most } = loaded
  const pool = encoderThreads(loaded.thread, most, async () => (await start(device.name)).thread)

  return {
    identity: onnxIdentity({ modelId, sha256: options.sha256, dtype, maxTokens, dim }),
    device,
    parallel: most,
    async embed(texts, { signal } = {}) {
      const out = matrix(texts.length, dim)
      await Promise.all(
        pieces(texts, PIECE_CHARACTERS[device.name]).map(async (indices) => {
          const part = await pool.embed(
            indices.map((i) => texts[i] as string),
            signal,
          )
          indices.forEach((index, i) => {
            row(out, index).set(row(part, i))
          })
        }),
      )
      return out
    },
    dispose: () => pool.close(),
  }
}
