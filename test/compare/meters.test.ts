// The meters of PrE-Text at the size of the paper, by encoding what really travels.
import { describe, expect, it } from 'vitest'
import { encoderFlops, neighbourFlops } from '../../src/compare/client-flops.ts'
import { serve } from '../../src/compare/client-meters.ts'
import { twoServerBytes } from '../../src/compare/two-server-bytes.ts'
import { loadConfig } from '../../src/config/load.ts'
import { matrix } from '../../src/embeddings/matrix.ts'
import { ownVoter } from '../../src/federation/client/own-vote.ts'
import { decodeCandidates } from '../../src/federation/protocol/candidate-bytes.ts'
import { reportSize } from '../../src/federation/protocol/report-bytes.ts'
import { encodeVote, SALT_BYTES } from '../../src/federation/protocol/vote-bytes.ts'
import { seededRandom } from '../../src/random.ts'
import { multihotVdaf } from '../../src/vdaf/multihot-vdaf.ts'
import { sentence } from '../run/workspace.ts'

const N = 1024
const DIM = 384

const embedder = {
  kind: 'transformers.js',
  model: 'all-MiniLM-L6-v2',
  sha256: 'a'.repeat(64),
  dtype: 'int8',
  pooling: 'mean',
  normalised: true,
  dim: DIM,
}

function unitRows(rows: number, name: string) {
  const random = seededRandom(1, name)
  const values = Float32Array.from({ length: rows * DIM }, () => random.next() - 0.5)
  for (let r = 0; r < rows; r++) {
    const own = values.subarray(r * DIM, (r + 1) * DIM)
    const norm = Math.sqrt(own.reduce((sum, v) => sum + v * v, 0))
    own.forEach((v, i) => {
      own[i] = v / norm
    })
  }
  return matrix(rows, DIM, values)
}

describe('one client and round of PrE-Text at N = 1024', () => {
  const texts = Array.from({ length: 16 }, (_, i) => sentence(i))

  it.each(['normalised', 'multihot', 'counts'] as const)(
    'takes at most 420 kB down and 20 kB up with %s votes, trusted and with two servers',
    async (vote) => {
      const set = [`histogram.vote=${vote}`, 'histogram.maxTextsPerClient=16', 'evolution.population=1024']
      const loaded = await loadConfig('configs/paper.yaml', { set })
      expect(loaded.config.evolution.rounds).toBeLessThanOrEqual(11)
      const served = serve(loaded, 11, unitRows(N, 'candidates'), { embedder, labels: null })
      expect(served.bytes.length + served.candidates.length).toBeLessThanOrEqual(420_000)
      const { count, dim, encoding } = served.manifest.candidates
      const decoded = decodeCandidates(served.candidates, { count, dim, encoding })
      const vote_ = await ownVoter({ texts }, { embed: async (own) => unitRows(own.length, 'own') }).vote(
        served.manifest,
        decoded,
      )
      const upload = encodeVote(vote_, new Uint8Array(SALT_BYTES))
      expect(upload.length).toBeGreaterThan(SALT_BYTES)
      expect(upload.length).toBeLessThanOrEqual(20_000)
      expect(twoServerBytes(loaded.config, N)).toBeLessThanOrEqual(20_000)
    },
  )
})

it('a report for two servers is as long as the protocol says', async () => {
  const set = ['histogram.vote=multihot', 'histogram.maxTextsPerClient=8']
  const { config } = await loadConfig('configs/paper.yaml', { set })
  expect(twoServerBytes(config, N)).toBe(reportSize(multihotVdaf({ length: N, maxWeight: 8 })))
})

describe('operations of a client', () => {
  it('are those of all-MiniLM-L6-v2: 2 x 10.6 million weights a token, and attention', () => {
    const shape = { layers: 6, width: 384, feedForward: 1536 }
    // 6 x (4 x 384^2 + 2 x 384 x 1536) weights; attention adds 2 x 2 x tokens x 384 for each token and layer.
    expect(encoderFlops(shape, 1)).toBe(2 * 10_616_832 + 2 * 6 * 2 * 384)
    expect(encoderFlops(shape, 64)).toBe(64 * (2 * 10_616_832 + 2 * 6 * 2 * 64 * 384))
    expect(neighbourFlops(1024, 384)).toBe(786_432)
  })
})
