// A Markdown table with aligned columns, as the formatter of this repository leaves it.

/** `header` and `rows` of strings; the columns in `right` are aligned to the right. */
export function table(header, rows, right = []) {
  const widths = header.map((_, at) => Math.max(3, ...[header, ...rows].map((row) => row[at].length)))
  const line = (cells) =>
    `| ${cells.map((cell, at) => (right.includes(at) ? cell.padStart(widths[at]) : cell.padEnd(widths[at]))).join(' | ')} |`
  const rule = widths.map((width, at) =>
    right.includes(at) ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width),
  )
  return [line(header), `| ${rule.join(' | ')} |`, ...rows.map(line)].join('\n')
}
