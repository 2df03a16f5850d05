// Public texts for pre-training: columns "text" of CSV files as passages of 15 to 60 words, cut at sentences, each once.
// node bench/gpu/passages.mjs FILE.csv... > passages.jsonl
import { readFileSync } from 'node:fs'
import { parse } from 'csv-parse/sync'

const LEAST = 15
const MOST = 60
const seen = new Set()
for (const file of process.argv.slice(2)) {
  for (const { text } of parse(readFileSync(file), { columns: true, relax_quotes: true, bom: true })) {
    for (const passage of passages(text)) {
      if (seen.has(passage)) continue
      seen.add(passage)
      process.stdout.write(`${JSON.stringify({ text: passage })}\n`)
    }
  }
}

function* passages(text) {
  const sentences =
    text
      .replace(/\s+/g, ' ')
      .trim()
      .match(/[^.!?]+[.!?]+["')\]]*\s*|[^.!?]+$/g) ?? []
  let words = []
  for (const sentence of sentences) {
    const next = sentence.trim().split(' ')
    if (words.length > 0 && words.length + next.length > MOST) {
      if (words.length >= LEAST) yield words.slice(0, MOST).join(' ')
      words = []
    }
    words.push(...next)
  }
  if (words.length >= LEAST) yield words.slice(0, MOST).join(' ')
}
