// Figures of a comparison in words, for the page and the terminal alike.
import type { ComparisonRow } from './comparison-data.ts'
import { epsilonText } from './figures.ts'

/** No epsilon without its kind: of a client, of one text, none asked for, or no guarantee at all. */
export function epsilonOfRow({ guarantee, asked, spent, perText }: ComparisonRow): string {
  switch (guarantee) {
    case 'none':
      return 'no DP guarantee'
    case 'public':
      return 'no private text'
    case 'text':
      return perText === null ? 'not measured' : `${epsilonText(perText.epsilon)} per text`
    default:
      if (spent === null) return asked === null ? 'not measured' : `${epsilonText(asked.epsilon)} asked`
      return epsilonText(spent.epsilon)
  }
}

export function bytesText(bytes: number): string {
  if (bytes === 0) return '0'
  if (bytes < 1000) return `${Math.round(bytes)} B`
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`
  return `${(bytes / 1e6).toFixed(1)} MB`
}

export function flopsText(flops: number): string {
  if (flops === 0) return '0'
  const units = ['', 'k', 'M', 'G', 'T', 'P']
  const power = Math.min(units.length - 1, Math.floor(Math.log10(flops) / 3))
  return `${(flops / 1000 ** power).toFixed(1)} ${units[power]}FLOP`
}
