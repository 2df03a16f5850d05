// Texts of mixed length for the embedding benchmarks: halves, wholes and pairs of the public ones in data/public.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { seededRandom } from '../src/random.ts'

export async function mixedTexts(root: string, count: number): Promise<string[]> {
  const lines = (await readFile(join(root, 'data/public/texts.jsonl'), 'utf8')).trim().split('\n')
  const whole = lines.map((line) => (JSON.parse(line) as { text: string }).text)
  const random = seededRandom(1)
  return Array.from({ length: count }, (_, i) => {
    const words = random.pick(whole).split(' ')
    if (i % 3 === 0) return words.slice(0, Math.ceil(words.length / 2)).join(' ')
    return i % 3 === 1 ? words.join(' ') : [...words, random.pick(whole)].join(' ')
  })
}
