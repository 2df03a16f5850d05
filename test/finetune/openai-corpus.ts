// A small corpus to fine-tune on.
import type { CorpusRow } from '../../src/generate/writers/row.ts'

export const rows = (count: number): CorpusRow[] =>
  Array.from({ length: count }, (_, i) => ({ text: `A synthetic text, number ${i}.` }))
