// The arithmetic of a field in WASM (kernel/*.as, built by kernel/build.mjs): 4 kB a field, inlined as base64, so it loads in
// Node, in a worker and in a browser without a file or a request. Each call copies its vectors in and its result out, and
// wipes what it used. In a page with a content security policy it needs 'wasm-unsafe-eval'.
import {
  FIELD64,
  FIELD128,
  type Field,
  type FieldParameters,
  inverse,
  rootsOfUnity,
  type Vector,
} from './field.ts'
import { FIELD64_WASM } from './kernel/field64.wasm.ts'
import { FIELD128_WASM } from './kernel/field128.wasm.ts'

interface Kernel {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number }
  add(out: number, a: number, b: number, n: number): void
  sub(out: number, a: number, b: number, n: number): void
  mul(out: number, a: number, b: number, n: number): void
  canonical(a: number, n: number): number
  dot(out: number, rows: number, weights: number, count: number, n: number): void
  powers(out: number, bases: number, count: number, n: number): void
  weights(out: number, t: number, nodes: number, inverse: number, n: number): void
  double(
    out: number,
    rows: number,
    count: number,
    n: number,
    nodes: number,
    inverse: number,
    scratch: number,
  ): void
  pairs(out: number, rows: number, count: number, n: number): void
  wires(
    out: number,
    x: number,
    n: number,
    joint: number,
    seeds: number,
    chunk: number,
    width: number,
    constant: number,
  ): void
}

// Neither lib.dom nor Node's types for 20 are loaded here; both have it at run time.
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object) => { readonly exports: Kernel }
}

const PAGE = 65536
/** Below lies the kernel's own scratch (kernel/vectors.as). */
const BASE = 64

function kernelField(parameters: FieldParameters, base64: string): Field {
  const { size } = parameters
  let instance: Kernel | undefined
  const kernel = (): Kernel => {
    instance ??= new WebAssembly.Instance(
      new WebAssembly.Module(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))),
    ).exports
    return instance
  }

  /** Lays the inputs out behind `outSize` bytes of result, runs, copies the result, and wipes the memory. */
  function call(
    outSize: number,
    inputs: readonly Uint8Array[],
    run: (kernel: Kernel, out: number, ...at: number[]) => void,
    scratch = 0,
  ): Vector {
    const wasm = kernel()
    let end = BASE + outSize
    const at = inputs.map((input) => {
      const here = end
      end += input.length
      return here
    })
    const missing = end + scratch - wasm.memory.buffer.byteLength
    if (missing > 0) wasm.memory.grow(Math.ceil(missing / PAGE))
    const memory = new Uint8Array(wasm.memory.buffer)
    inputs.forEach((input, i) => {
      memory.set(input, at[i])
    })
    run(wasm, BASE, ...at, end)
    const out = memory.slice(BASE, BASE + outSize)
    memory.fill(0, 0, end + scratch)
    return out
  }

  const rowsIn = (rows: Vector, rowBytes: number): number => {
    if (rows.length % rowBytes !== 0)
      throw new RangeError(`expected rows of ${rowBytes} bytes, got ${rows.length} bytes`)
    return rows.length / rowBytes
  }

  const each =
    (op: 'add' | 'sub' | 'mul') =>
    (a: Vector, b: Vector): Vector => {
      if (a.length !== b.length)
        throw new RangeError(`expected vectors of one length, got ${a.length} and ${b.length} bytes`)
      return call(a.length, [a, b], (k, out, x = 0, y = 0) => k[op](out, x, y, a.length / size))
    }

  return {
    ...parameters,
    add: each('add'),
    sub: each('sub'),
    mul: each('mul'),
    isCanonical(a) {
      let good = 0
      call(0, [a], (k, _, x = 0) => {
        good = k.canonical(x, a.length / size)
      })
      return good === 1
    },
    dot(rows, weights) {
      const count = rowsIn(rows, weights.length)
      return call(count * size, [rows, weights], (k, out, x = 0, w = 0) =>
        k.dot(out, x, w, count, weights.length / size),
      )
    },
    powers: (bases, n) =>
      call(bases.length * n, [bases], (k, out, x = 0) => k.powers(out, x, bases.length / size, n)),
    weights(t, n) {
      const inputs = [t, rootsOfUnity(parameters, n), inverse(parameters, n)]
      return call(n * size, inputs, (k, out, x = 0, r = 0, i = 0) => k.weights(out, x, r, i, n))
    },
    double(rows, n) {
      const count = rowsIn(rows, n * size)
      return call(
        2 * rows.length,
        [rows, rootsOfUnity(parameters, 2 * n), inverse(parameters, n)],
        (k, out, x = 0, r = 0, i = 0, end = 0) => k.double(out, x, count, n, r, i, end),
        3 * n * size,
      )
    },
    pairs(rows, n) {
      const count = rowsIn(rows, 2 * n * size)
      return call(n * size, [rows], (k, out, x = 0) => k.pairs(out, x, count, n))
    },
    wires(x, joint, seeds, { chunk, width, constant }) {
      const n = x.length / size
      if (seeds.length !== 2 * chunk * size || joint.length !== Math.ceil(n / chunk) * size) {
        throw new RangeError(
          `expected ${2 * chunk} seeds and ${Math.ceil(n / chunk)} random elements for ${n} elements in chunks of ${chunk}, ` +
            `got ${seeds.length / size} and ${joint.length / size}`,
        )
      }
      return call(
        2 * chunk * width * size,
        [x, joint, seeds, constant],
        (k, out, a = 0, r = 0, s = 0, c = 0) => k.wires(out, a, n, r, s, chunk, width, c),
      )
    },
  }
}

export const field64: Field = kernelField(FIELD64, FIELD64_WASM)
export const field128: Field = kernelField(FIELD128, FIELD128_WASM)
