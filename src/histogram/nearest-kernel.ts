// The WASM side of exact search (kernel/nearest.as, built by kernel/build.mjs) and its memory: the candidates, one block of
// queries with their 8-bit and 64-bit forms, and their scores, which ONNX Runtime reads and writes where they lie.
import type { Matrix } from '../embeddings/matrix.ts'
import { PretextError } from '../errors.ts'
import { NEAREST_WASM } from './kernel/nearest.wasm.ts'

interface Exports {
  largest(values: number, count: number): number
  quantise(
    values: number,
    bytes: number,
    rows: number,
    dim: number,
    inverse: number,
    zero: number,
    lost: number,
    kept: number,
  ): void
  shortlist(
    scores: number,
    rows: number,
    row: number,
    candidates: number,
    part: number,
    k: number,
    margin: number,
    top: number,
    seen: number,
    list: number,
    listed: number,
  ): number
  widen(values: number, wide: number, dim: number): void
  rank(
    wide: number,
    dim: number,
    candidates: number,
    factors: number,
    terms: number,
    list: number,
    listed: number,
    error: number,
    found: number,
    k: number,
    margin: number,
    scores: number,
  ): number
}

interface Memory {
  readonly buffer: ArrayBuffer
}

// Neither lib.dom nor Node's types for 20 are loaded here.
declare const WebAssembly: {
  Memory: new (size: { initial: number }) => Memory
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object, imports: { env: { memory: Memory } }) => { readonly exports: Exports }
}

const PAGE = 65_536
/** What 32-bit addresses reach. */
const LARGEST_MEMORY = 65_536 * PAGE

/** Rows of this many values, the last of them zeros, are what the kernel reads. */
export function paddedDim(dim: number): number {
  return Math.ceil(dim / 16) * 16
}

export interface KernelOptions {
  readonly candidates: Matrix
  /** The score of a candidate is its product with the query times its factor, less its term. */
  readonly factors: Float64Array
  readonly terms: Float64Array
  /** Queries in a block. */
  readonly rows: number
  /** Candidates in a part of the scores. */
  readonly part: number
}

export function createNearestKernel({ candidates, factors, terms, rows, part }: KernelOptions) {
  const count = candidates.rows
  const dim = paddedDim(candidates.dim)
  let end = PAGE
  const place = (bytes: number): number => {
    const at = end
    end += Math.ceil(bytes / 64 + 1) * 64
    return at
  }
  const at = {
    candidates: place(count * dim * 4),
    factors: place(count * 8),
    terms: place(count * 8),
    queries: place(rows * dim * 4),
    bytes: place(rows * dim),
    lost: place(rows * 8),
    kept: place(rows * 8),
    wide: place(dim * 8),
    scores: place(rows * count * 4),
    top: place(count * 4),
    seen: place(count * 8),
    list: place(count * 4),
    listed: place(count * 4),
    ranked: place(count * 8),
  }
  if (end > LARGEST_MEMORY) {
    throw new PretextError(
      `expected candidates that fit into 4 GiB for exact search, got ${count} of ${candidates.dim} dimensions`,
      { code: 'config', hint: 'ask for fewer candidates, or set the search to hnsw' },
    )
  }
  const memory = new WebAssembly.Memory({ initial: Math.ceil(end / PAGE) })
  const { buffer } = memory
  const wasm = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(NEAREST_WASM, 'base64')), {
    env: { memory },
  }).exports
  place32(buffer, at.candidates, candidates, dim)
  new Float64Array(buffer, at.factors, count).set(factors)
  new Float64Array(buffer, at.terms, count).set(terms)

  return {
    /** In steps, for each row of the block. */
    lost: new Float64Array(buffer, at.lost, rows),
    kept: new Float64Array(buffer, at.kept, rows),
    /** What a query's `shortlist` or `rank` gave, and the scores of `rank`. */
    list: new Int32Array(buffer, at.list, count),
    ranked: new Float64Array(buffer, at.ranked, count),
    /** Takes a block of queries; gives their largest magnitude. */
    load(queries: Matrix): number {
      place32(buffer, at.queries, queries, dim)
      return wasm.largest(at.queries, queries.rows * dim)
    },
    /** Rounds the block to whole steps above `zero`. */
    quantise(used: number, step: number, zero: number): Uint8Array {
      wasm.quantise(at.queries, at.bytes, used, dim, 1 / step, zero, at.lost, at.kept)
      return new Uint8Array(buffer, at.bytes, used * dim)
    },
    /** Room for the scores of the block's `used` rows. */
    scores: (used: number) => new Float32Array(buffer, at.scores, used * count),
    /** Lists the candidates of a row with scores at most twice `error` below the k-th; gives their number. */
    shortlist(used: number, row: number, k: number, error: number): number {
      const { scores, top, seen, list, listed } = at
      return wasm.shortlist(scores, used, row, count, part, k, 2 * error, top, seen, list, listed)
    },
    /**
     * Scores those of the `found` in the list in 64 bits that a score off by `error` does not rule out: the k best first,
     * and those at most `margin` below the k-th; gives their number.
     */
    rank(row: number, error: number, found: number, k: number, margin: number): number {
      wasm.widen(at.queries + row * dim * 4, at.wide, dim)
      const { candidates: values, factors, terms, list, listed, ranked } = at
      return wasm.rank(at.wide, dim, values, factors, terms, list, listed, error, found, k, margin, ranked)
    },
  }
}

function place32(buffer: ArrayBuffer, at: number, { values, rows, dim }: Matrix, padded: number): void {
  const out = new Float32Array(buffer, at, rows * padded)
  if (dim === padded) out.set(values)
  else for (let i = 0; i < rows; i++) out.set(values.subarray(i * dim, (i + 1) * dim), i * padded)
}
