// Every benchmark that this machine can run, one after the other: npm run bench. PYTHON is an interpreter with faiss-cpu,
// sentence-transformers, torch, transformers, accelerate and gguf, MINILM the folder of the fp32 all-MiniLM-L6-v2, BATCHED_BENCH
// llama.cpp's llama-batched-bench, DPSDA a checkout of github.com/microsoft/DPSDA (PYTHON then has faiss, pandas, omegaconf
// before 2.4, generalimport, openai, tenacity, tiktoken and python-dotenv too); what one of them is missing for is left out and named.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

interface Benchmark {
  readonly script: string
  readonly args?: readonly string[]
  /** Modules of PYTHON. */
  readonly imports?: readonly string[]
  readonly needs?: readonly string[]
}

const { PYTHON, MINILM } = process.env
const ALL: readonly Benchmark[] = [
  { script: 'neighbours', imports: ['faiss'] },
  { script: 'neighbours', args: ['1', 'stream'], imports: ['faiss'] },
  { script: 'hnsw', needs: ['node_modules/hnswlib-node/package.json'] },
  { script: 'embedding', args: [MINILM ?? ''], imports: ['sentence_transformers'], needs: ['MINILM'] },
  { script: 'embedding-profile' },
  { script: 'llm', imports: ['torch', 'transformers', 'accelerate', 'gguf'] },
  { script: 'remote-llm' },
  {
    script: 'round-pe',
    imports: ['sentence_transformers', 'faiss', 'pandas', 'omegaconf', 'generalimport', 'openai', 'tiktoken'],
    needs: ['DPSDA', 'MINILM', 'dist/index.js'],
  },
  { script: 'whole', args: ['configs/quickstart.yaml'] },
  { script: 'growth' },
  { script: 'install' },
  { script: 'start', needs: ['dist/index.js'] },
]

for (const { script, args = [], imports = [], needs = [] } of ALL) {
  console.log(`\n## ${[script, ...args].join(' ')}`)
  const missing = needs.filter((name) =>
    name.includes('/') ? !existsSync(join(import.meta.dirname, '..', name)) : process.env[name] === undefined,
  )
  if (imports.length > 0 && PYTHON === undefined) missing.push('PYTHON')
  else if (imports.length > 0) {
    const { status } = spawnSync(PYTHON as string, ['-c', `import ${imports.join(', ')}`], {
      stdio: 'ignore',
    })
    if (status !== 0) missing.push(`${imports.join(', ')} in PYTHON`)
  }
  if (missing.length > 0) {
    console.log(`left out: no ${missing.join(', ')}`)
    continue
  }
  const { status } = spawnSync(
    process.execPath,
    ['--import', 'tsx', join(import.meta.dirname, `${script}.ts`), ...args],
    { stdio: 'inherit' },
  )
  if (status !== 0) process.exitCode = 1
}
