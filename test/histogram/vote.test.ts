// The bound on what one client can do, checked in integers over adversarial clients.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { matrix } from '../../src/embeddings/matrix.ts'
import { boundInVotes, type VoteOptions, voteBound } from '../../src/histogram/bound.ts'
import { clip, integerSqrt, squaredNorm } from '../../src/histogram/clip.ts'
import { createNeighbours } from '../../src/histogram/create-neighbours.ts'
import { ExactVotes, exactSums } from '../../src/histogram/exact-votes.ts'
import { clientVote, clientVotes } from '../../src/histogram/vote.ts'
import { hnswInstalled } from './hnsw-installed.ts'
import { clustered } from './neighbours-contract.ts'

const modes: VoteOptions[] = [
  { mode: 'normalised', maxTextsPerClient: 16, neighbours: 3 },
  { mode: 'multihot', maxTextsPerClient: 16, neighbours: 3, maxCandidates: 5 },
  { mode: 'counts', maxTextsPerClient: 16, neighbours: 3 },
  { mode: 'counts', maxTextsPerClient: 16, neighbours: 3, clip: 2.5 },
]

const anyCounts = fc
  .array(fc.tuple(fc.nat(200), fc.integer({ min: 0, max: 1_000_000 })))
  .map((e) => new Map(e))

describe.each(modes)('vote $mode, clip $clip', (options) => {
  const bound = voteBound(options)

  it('never exceeds its bound, whatever a client counts', () => {
    fc.assert(
      fc.property(anyCounts, (counts) => {
        const vote = clip(counts, options, bound)
        expect(squaredNorm(vote) <= bound.squared).toBe(true)
        expect(vote.steps.every((step) => step >= 0n)).toBe(true)
        new ExactVotes(201, bound, false).add(vote)
      }),
      { seed: 3, numRuns: 500 },
    )
  })

  it('is a clip and not a new shape: larger counts never get fewer steps', () => {
    fc.assert(
      fc.property(anyCounts, (counts) => {
        const vote = clip(counts, options, bound)
        const given = vote.indices.map((index, i) => ({
          count: counts.get(index) as number,
          step: vote.steps[i] as bigint,
        }))
        for (const a of given)
          for (const b of given) if (a.count > b.count) expect(a.step >= b.step).toBe(true)
      }),
      { seed: 4, numRuns: 100 },
    )
  })

  it('one client moves the sum by at most the bound, with all its texts on one candidate or spread', () => {
    for (const spread of [1, 2, 7, 48]) {
      const counts = new Map(Array.from({ length: spread }, (_, i) => [i, Math.ceil(48 / spread)]))
      const votes = new ExactVotes(100, bound, false)
      votes.add(clip(counts, options, bound))
      const moved = exactSums(votes).reduce((sum, v) => sum + v * v, 0n)
      expect(moved <= bound.squared).toBe(true)
    }
  })
})

describe('bounds', () => {
  it('are what the documentation says', () => {
    const votes = (options: VoteOptions) => boundInVotes(voteBound(options))
    const base = { maxTextsPerClient: 16, neighbours: 1 }
    expect(votes({ ...base, mode: 'normalised' })).toBe(1)
    expect(votes({ ...base, mode: 'counts' })).toBe(16)
    expect(votes({ ...base, mode: 'counts', neighbours: 4 })).toBe(32)
    expect(votes({ ...base, mode: 'counts', clip: 4 })).toBe(4)
    expect(votes({ ...base, mode: 'counts', clip: 1e308 })).toBe(votes({ ...base, mode: 'counts' }))
    expect(votes({ ...base, mode: 'counts', clip: 400 })).toBe(16)
    expect(votes({ ...base, mode: 'multihot', maxCandidates: 9 })).toBe(3)
    expect(votes({ ...base, mode: 'multihot' })).toBe(4)
  })

  it('normalised votes lose less than one grid step each to rounding', () => {
    const options: VoteOptions = { mode: 'normalised', maxTextsPerClient: 16, neighbours: 1 }
    const bound = voteBound(options)
    const vote = clip(
      new Map([
        [0, 1],
        [1, 2],
        [2, 2],
      ]),
      options,
      bound,
    )
    expect(vote.steps).toEqual([21845n, 43690n, 43690n])
    expect(clip(new Map([[7, 9]]), options, bound).steps).toEqual([65536n])
  })

  it('multihot keeps the candidates with most votes, once each', () => {
    const options: VoteOptions = { mode: 'multihot', maxTextsPerClient: 16, neighbours: 1, maxCandidates: 2 }
    const vote = clip(
      new Map([
        [5, 1],
        [1, 3],
        [9, 2],
      ]),
      options,
      voteBound(options),
    )
    expect(vote).toEqual({ indices: [1, 9], steps: [1n, 1n] })
  })

  it('integer square roots are exact', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 100n }), (n) => {
        const r = integerSqrt(n)
        expect(r * r <= n && (r + 1n) * (r + 1n) > n).toBe(true)
      }),
      { seed: 5 },
    )
  })

  it('are enforced by the aggregator too, not taken on trust', () => {
    const bound = voteBound({ mode: 'normalised', maxTextsPerClient: 4, neighbours: 1 })
    const votes = () => new ExactVotes(3, bound, false)
    expect(() => votes().add({ indices: [0], steps: [65537n] })).toThrow('the vote exceeds its L2 bound')
    expect(() => votes().add({ indices: [0, 1], steps: [65536n, 1n] })).toThrow(
      'the vote exceeds its L2 bound',
    )
    expect(() => votes().add({ indices: [0], steps: [-1n] })).toThrow('expected non-negative votes')
    expect(() => votes().add({ indices: [1, 1], steps: [1n, 1n] })).toThrow(
      'expected ascending candidate indices below 3',
    )
    expect(() => votes().add({ indices: [3], steps: [1n] })).toThrow(
      'expected ascending candidate indices below 3',
    )
    expect(() => votes().add({ indices: [0.5], steps: [1n] })).toThrow(
      'expected ascending candidate indices below 3',
    )
  })
})

describe('a client with texts in every label', () => {
  // Two labels; candidates 0, 1 of label 0 and 2, 3 of label 1, all at the same two points of the plane.
  const points = matrix(2, 2, Float32Array.of(1, 0, 0, 1))

  it.each(modes)('has one bound over all labels together ($mode)', async (options) => {
    const bound = voteBound(options)
    const indexes = new Map()
    for (const label of [0, 1]) {
      const neighbours = await createNeighbours(points, { distance: 'l2', backend: 'exact', seed: 0 })
      indexes.set(label, { neighbours, positions: [2 * label, 2 * label + 1] })
    }
    const labels = Array.from({ length: 16 }, (_, i) => i % 2)
    const embeddings = matrix(
      16,
      2,
      Float32Array.from({ length: 32 }, (_, i) => (i % 2 === 0 ? 0.9 : 0.1)),
    )
    const vote = await clientVote({ embeddings, labels }, indexes, { ...options, neighbours: 1 }, bound)
    expect(vote.indices).toEqual([0, 2])
    expect(squaredNorm(vote) <= bound.squared).toBe(true)
    const one = await clientVote(
      { embeddings, labels: labels.map(() => 0) },
      indexes,
      { ...options, neighbours: 1 },
      bound,
    )
    expect(one.indices).toEqual([0])
    expect(squaredNorm(one) <= bound.squared).toBe(true)
  })

  it('never votes for a candidate of another label', async () => {
    const options = modes[0] as VoteOptions
    const neighbours = await createNeighbours(points, { distance: 'cosine', backend: 'exact', seed: 0 })
    const vote = await clientVote(
      { embeddings: points, labels: [1, 1] },
      new Map([[0, { neighbours, positions: [0, 1] }]]),
      options,
      voteBound(options),
    )
    expect(vote.indices).toEqual([])
  })

  it.each(['exact', ...(hnswInstalled ? ['hnsw' as const] : [])] as const)(
    'votes the same alone and searched for together with others (%s)',
    async (backend) => {
      const options = modes[0] as VoteOptions
      const indexes = new Map()
      for (const label of [0, 1]) {
        const candidates = clustered(40, 12, 5, 30, label)
        const neighbours = await createNeighbours(candidates, { distance: 'l2', backend, seed: 0 })
        indexes.set(label, { neighbours, positions: Array.from({ length: 40 }, (_, i) => 2 * i + label) })
      }
      const clients = Array.from({ length: 60 }, (_, c) => ({
        // Some have no text at all, and of some every text is long.
        embeddings: matrix(
          c % 9,
          12,
          clustered(c % 9, 12, 5, 30, 2 + c).values.map((v) => v * (1 + (c % 4) * 50)),
        ),
        labels: Array.from({ length: c % 9 }, (_, i) => (i + c) % 2),
      }))
      const together = await clientVotes(clients, indexes, options, voteBound(options))
      for (const [c, client] of clients.entries()) {
        expect(together[c]).toEqual(await clientVote(client, indexes, options, voteBound(options)))
      }
      expect(new Set(together.map(({ indices }) => indices.join())).size).toBeGreaterThan(20)
    },
  )

  it('may not bring more texts than the bound was made for', async () => {
    const options: VoteOptions = { mode: 'counts', maxTextsPerClient: 2, neighbours: 1 }
    const client = { embeddings: matrix(3, 2), labels: [0, 0, 0] }
    await expect(clientVote(client, new Map(), options, voteBound(options))).rejects.toThrow(
      'at most 2 texts',
    )
  })
})

describe('neighbouring data sets', () => {
  // Points of the plane as embeddings, so that the adversary chooses the nearest candidates of every text at will.
  const angle = fc.integer({ min: 0, max: 359 })
  const client = fc.array(fc.record({ angle, label: fc.nat(2) }), { minLength: 1, maxLength: 16 })
  const point = (degrees: number) => [
    Math.cos((degrees * Math.PI) / 180),
    Math.sin((degrees * Math.PI) / 180),
  ]
  const points = (degrees: readonly number[]) =>
    matrix(degrees.length, 2, Float32Array.from(degrees.flatMap(point)))
  type Texts = readonly { angle: number; label: number }[]

  async function sumsOf(clients: readonly Texts[], options: VoteOptions): Promise<bigint[]> {
    const bound = voteBound(options)
    const indexes = new Map()
    // Three labels of 6 candidates each; label 2 has only 2 of them, fewer than some numbers of neighbours.
    let position = 0
    for (const [label, size] of [6, 6, 2].entries()) {
      const neighbours = await createNeighbours(
        points(Array.from({ length: size }, (_, i) => (360 * i) / size)),
        {
          distance: 'cosine',
          backend: 'exact',
          seed: 0,
        },
      )
      indexes.set(label, { neighbours, positions: Array.from({ length: size }, () => position++) })
    }
    const votes = new ExactVotes(14, bound, false)
    for (const texts of clients) {
      const embeddings = points(texts.map((text) => text.angle))
      votes.add(
        await clientVote({ embeddings, labels: texts.map((text) => text.label) }, indexes, options, bound),
      )
    }
    for (const { neighbours } of indexes.values()) await neighbours.dispose()
    return Array.from(exactSums(votes))
  }
  const squaredDistance = (a: readonly bigint[], b: readonly bigint[]) =>
    a.reduce((sum, value, i) => sum + (value - (b[i] as bigint)) ** 2n, 0n)

  it.each(modes)(
    'one client more moves the integer sum by at most the bound, one exchanged by sqrt 2 of it ($mode, clip $clip)',
    async (options) => {
      const { squared } = voteBound(options)
      await fc.assert(
        fc.asyncProperty(fc.array(client, { maxLength: 3 }), client, client, async (others, one, other) => {
          const without = await sumsOf(others, options)
          const withOne = await sumsOf([...others, one], options)
          const withOther = await sumsOf([other, ...others], options)
          expect(squaredDistance(without, withOne) <= squared).toBe(true)
          expect(squaredDistance(withOne, withOther) <= 2n * squared).toBe(true)
        }),
        { seed: 6, numRuns: 40 },
      )
    },
  )

  it.each(modes)(
    'the bound is reached or nearly so: noise is not wasted ($mode, clip $clip)',
    async (options) => {
      const same = Array.from({ length: 16 }, () => ({ angle: 0, label: 0 }))
      const spread = Array.from({ length: 16 }, (_, i) => ({ angle: 60 * i, label: i % 3 }))
      const empty = await sumsOf([], options)
      const reached = await Promise.all(
        [same, spread].map(async (texts) => squaredDistance(empty, await sumsOf([texts], options))),
      )
      const most = reached.reduce((a, b) => (a > b ? a : b))
      expect(Number(most) / Number(voteBound(options).squared)).toBeGreaterThan(0.999)
    },
  )
})

describe('what each mode costs (docs/privacy.md)', () => {
  const counts = (texts: readonly number[]) => {
    const found = new Map<number, number>()
    for (const candidate of texts) found.set(candidate, (found.get(candidate) ?? 0) + 1)
    return found
  }
  const votesOf = (texts: readonly number[], options: VoteOptions) => {
    const bound = voteBound(options)
    const { indices, steps } = clip(counts(texts), options, bound)
    return new Map(indices.map((index, i) => [index, Number(steps[i]) / bound.steps]))
  }
  const base = { maxTextsPerClient: 8, neighbours: 1 }
  const sum = (votes: Map<number, number>) => [...votes.values()].reduce((a, b) => a + b, 0)
  const agreed = [0, 0, 0, 0, 0, 0, 0, 0]
  const varied = [0, 1, 2, 3, 4, 5, 6, 7]

  it('normalised: 8 texts on 8 candidates weigh 2.83 times 8 texts on one', () => {
    const options: VoteOptions = { ...base, mode: 'normalised' }
    expect(sum(votesOf(agreed, options))).toBe(1)
    expect(sum(votesOf(varied, options))).toBeCloseTo(2.83, 2)
    // Shares of two candidates that hold 3/4 and 1/4 of one client's texts: 0.949 and 0.316, a ratio kept, a sum not.
    const two = votesOf([0, 0, 0, 0, 0, 0, 1, 1], options)
    expect([...two.values()].map((v) => v.toFixed(3))).toEqual(['0.949', '0.316'])
    // Half the clients agree on candidate 0, half vary over 0 to 7: the true share of 0 is .5625, the voted one .354.
    const zero = 1 + (votesOf(varied, options).get(0) as number)
    expect(zero / (1 + sum(votesOf(varied, options)))).toBeCloseTo(0.354, 3)
  })

  it('multihot: 8 texts on one candidate count as one, and the noise is 2.83 times larger', () => {
    const options: VoteOptions = { ...base, mode: 'multihot' }
    expect(sum(votesOf(agreed, options))).toBe(1)
    expect(sum(votesOf(varied, options))).toBe(8)
    expect(boundInVotes(voteBound(options))).toBeCloseTo(2.83, 2)
    // At most 2 candidates: 6 of 8 votes are lost, the noise is 1.41.
    expect(sum(votesOf(varied, { ...options, maxCandidates: 2 }))).toBe(2)
    expect(boundInVotes(voteBound({ ...options, maxCandidates: 2 }))).toBeCloseTo(1.41, 2)
  })

  it('counts: every text counts, and the noise is 8 times larger, for clients with one text too', () => {
    const options: VoteOptions = { ...base, mode: 'counts' }
    expect(sum(votesOf(agreed, options))).toBe(8)
    expect(sum(votesOf(varied, options))).toBe(8)
    expect(sum(votesOf([0], options))).toBe(1)
    expect(boundInVotes(voteBound(options))).toBe(8)
    // Clipped at 2, the client that agrees loses 6 of 8 votes, the one that varies 2.34 of 8.
    expect(sum(votesOf(agreed, { ...options, clip: 2 }))).toBe(2)
    expect(sum(votesOf(varied, { ...options, clip: 2 }))).toBeCloseTo(5.66, 2)
  })
})
