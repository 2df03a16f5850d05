// Texts per second of all-MiniLM-L6-v2 over texts of 15 to 60 words, one client of 4 texts per call and many texts per
// call: npx vitest bench test/embeddings. An iteration is 512 texts.
import { bench, describe } from 'vitest'
import { createEmbedder } from '../../src/embeddings/create.ts'
import { seededRandom } from '../../src/random.ts'

const WORDS = 'package build server river kernel upload market patch window stone license error'.split(' ')

describe('512 texts', async () => {
  const random = seededRandom(1)
  const texts = Array.from({ length: 512 }, () =>
    Array.from({ length: 15 + random.integer(46) }, () => random.pick(WORDS)).join(' '),
  )
  const minilm = await createEmbedder({ model: 'all-MiniLM-L6-v2', device: 'auto' })
  const hashing = await createEmbedder({ model: 'hashing', device: 'auto' })
  const options = { iterations: 3, warmupIterations: 1, time: 0, warmupTime: 0 }
  for (const perCall of [4, 64, 512]) {
    bench(
      `${perCall} a call`,
      async () => {
        for (let i = 0; i < texts.length; i += perCall) await minilm.embed(texts.slice(i, i + perCall))
      },
      options,
    )
  }
  bench('hashing', async () => void (await hashing.embed(texts)), options)
})
