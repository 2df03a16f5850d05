// Eight bits for four: the same bytes as the reference quantiser gives (test/golden/gguf-q8.py), read back by the library
// that will load such files.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readGgufFileInfo } from 'node-llama-cpp'
import { expect, it } from 'vitest'
import { withQ8 } from '../../src/models/gguf-q8.ts'

const golden = JSON.parse(await readFile(join(import.meta.dirname, '../golden/gguf-q8.json'), 'utf8')) as {
  gguf: string
  tensors: Record<string, string>
}
const given = Buffer.from(golden.gguf, 'base64')

it('gives the bytes of the reference, tensor by tensor, and touches nothing else', async () => {
  const made = withQ8(given)
  const folder = await mkdtemp(join(tmpdir(), 'pretext-gguf-'))
  try {
    const path = join(folder, 'made.gguf')
    await writeFile(path, made)
    const info = await readGgufFileInfo(path, { readTensorInfo: true, logWarnings: false })
    expect(info.metadata.general.file_type).toBe(7)
    expect(info.metadata).toMatchObject({ large: 2n ** 40n, flag: true, numbers: [1.5, 2.5, 3.5] })
    const found = (info.fullTensorInfo ?? []).map(({ name, ggmlType, fileOffset }) => {
      const wanted = Buffer.from(golden.tensors[name] ?? '', 'base64')
      expect(Buffer.from(made.subarray(Number(fileOffset), Number(fileOffset) + wanted.length))).toEqual(
        wanted,
      )
      expect(Number(fileOffset) % 32).toBe(0)
      return [name, ggmlType]
    })
    expect(found).toEqual([
      ['norm', 0],
      ['blk.0.a', 8],
      ['blk.0.odd', 8],
      ['blk.1.b', 8],
      ['output', 8],
    ])
  } finally {
    await rm(folder, { recursive: true })
  }
})

it('leaves a file without four-bit matrices as it is', () => {
  const made = withQ8(given)
  expect(Buffer.from(withQ8(made))).toEqual(Buffer.from(made))
})

it('refuses other files and other types in words', () => {
  expect(() => withQ8(Buffer.from('PK, which is no GGUF'))).toThrow('expected a GGUF file of version 3')
  const other = Buffer.from(given)
  const name = other.indexOf('blk.0.a')
  // Name, number of dimensions, two dimensions, and then the type.
  other.writeUInt32LE(12, name + 'blk.0.a'.length + 4 + 16)
  expect(() => withQ8(other)).toThrow('expected tensors of F32, F16, Q4_1 or Q8_0, got one of type 12')
})
