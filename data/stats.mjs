#!/usr/bin/env node
// Prints the statistics of data files as a Markdown table: node data/stats.mjs FILE.jsonl ...
import { readFileSync, realpathSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { table } from './table.mjs'

const median = (numbers) => {
  const sorted = [...numbers].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
const count = (keys) => {
  const counts = new Map()
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1)
  return counts
}
const words = (text) => text.split(/\s+/).length

export const readRows = (path) =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))

/** The statistics of one file as [name, value] pairs. */
function statistics(rows) {
  const lengths = rows.map((row) => words(row.text))
  const table = [['texts', rows.length]]
  if (rows[0]?.client !== undefined) {
    const perClient = [...count(rows.map((row) => row.client)).values()]
    table.push(
      ['clients', perClient.length],
      ['texts per client, median', median(perClient)],
      ['texts per client, largest', Math.max(...perClient)],
    )
    table.push(['labels', new Set(rows.map((row) => row.label)).size])
  }
  table.push(
    ['words', lengths.reduce((sum, length) => sum + length, 0)],
    ['words per text, median', median(lengths)],
  )
  table.push(['words per text, least', Math.min(...lengths)], ['words per text, most', Math.max(...lengths)])
  for (const [source, texts] of count(rows.flatMap((row) => (row.source === undefined ? [] : [row.source]))))
    table.push([`texts from ${source}`, texts])
  return table
}

/** The statistics of several files side by side. */
export function markdown(files) {
  const columns = files.map((path) => new Map(statistics(readRows(path))))
  const names = [...new Set(columns.flatMap((column) => [...column.keys()]))]
  const rows = names.map((name) => [
    name,
    ...columns.map((column) => column.get(name)?.toLocaleString('en') ?? ''),
  ])
  return table(
    ['', ...files.map((path) => basename(path))],
    rows,
    [...files.keys()].map((at) => at + 1),
  )
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url))
  console.log(markdown(process.argv.slice(2)))
