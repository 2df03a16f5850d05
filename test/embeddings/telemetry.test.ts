// The native runtime under the embedder reports to its maker unless it is told not to (onnx-runtime.ts). When it does, it
// leaves an id of the device in the user's cache folder and a session file in the temporary folder; here both stay empty.
// transformers.js turns it off by itself today, which is held here too.
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { expect, it } from 'vitest'

const SRC = resolve(import.meta.dirname, '../../src')

const LOADS = {
  'ONNX Runtime': `
    const { loadOnnxRuntime } = await import('${SRC}/embeddings/onnx-runtime.ts')
    const { InferenceSession } = await loadOnnxRuntime()
    await InferenceSession.create(new Uint8Array(4)).catch(() => {})`,
  'transformers.js': `
    const { loadTransformers } = await import('${SRC}/embeddings/transformers.ts')
    await loadTransformers()
    const { createRequire } = await import('node:module')
    const { InferenceSession } = createRequire('${SRC}/index.ts')('onnxruntime-node')
    await InferenceSession.create(new Uint8Array(4)).catch(() => {})`,
}

it.each(Object.entries(LOADS))('%s leaves nothing behind: no device id, no session', async (_, code) => {
  const folder = await mkdtemp(join(tmpdir(), 'telemetry-'))
  const [home, scratch] = [join(folder, 'home'), join(folder, 'tmp')]
  await mkdir(home)
  await mkdir(scratch)
  // Runtimes in CI are silent by themselves, so this one must not know that it is there.
  const env = { PATH: process.env.PATH, HOME: home, TMPDIR: scratch, TSX_DISABLE_CACHE: '1' }
  await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '-e', `${code}\nawait new Promise((r) => setTimeout(r, 300))`],
    { env, cwd: resolve(SRC, '..') },
  )
  expect(await readdir(home)).toEqual([])
  expect((await readdir(scratch)).filter((name) => !name.startsWith('tsx-'))).toEqual([])
})

it('in a worker thread, where the variable can only be read, it must be set before', async () => {
  const asks = (env: Record<string, string>) =>
    new Promise<string>((answer, fail) => {
      const worker = new Worker(
        `import('tsx/esm/api').then(({ register }) => { register(); return import('${SRC}/embeddings/onnx-runtime.ts') })
          .then(({ loadOnnxRuntime }) => loadOnnxRuntime())
          .then(() => 'allowed', (error) => error.message)
          .then((message) => require('node:worker_threads').parentPort.postMessage(message))`,
        { eval: true, env: { PATH: process.env.PATH ?? '', ...env } },
      )
      worker.on('message', answer)
      worker.on('error', fail)
    })
  expect(await asks({})).toBe(
    'expected ORT_DISABLE_TELEMETRY=1 in a process whose worker threads load ONNX Runtime, it is not set',
  )
  expect(await asks({ ORT_DISABLE_TELEMETRY: '1' })).toBe('allowed')
})
