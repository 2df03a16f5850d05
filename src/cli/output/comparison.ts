// The rows of a comparison for the terminal.
import type { ComparisonReport, ComparisonRow } from '../../report/comparison-data.ts'
import { bytesText, epsilonOfRow, flopsText } from '../../report/comparison-words.ts'
import type { Figure } from '../../report/evaluation-data.ts'
import { counted } from '../../report/figures.ts'
import { table } from './output.ts'

export function comparisonTable(report: ComparisonReport): string {
  const { clients } = report
  const head = [
    'arm',
    'epsilon',
    'next token %',
    'cross-entropy',
    'rounds',
    'down',
    'up',
    'client FLOPs',
    'LLM tokens',
  ]
  return [
    'SIMULATION: figures of texts that were declared free for experiments.',
    table([head, ...report.rows.map(rowOf)]),
    '',
    `95% intervals over ${clients.evaluationClients} evaluation clients and ${counted(report.seeds.length, 'seed')}; settings chosen on ${clients.validationClients} other clients, learned from ${clients.clients}.`,
    'Each epsilon is of one run; tuning and several seeds are not in it.',
    ...report.rows.flatMap(({ arm, noEpsilon }) =>
      noEpsilon === null ? [] : [`${arm} has no epsilon: ${noEpsilon}.`],
    ),
  ].join('\n')
}

function rowOf(row: ComparisonRow): string[] {
  const { figures, meters, failed } = row
  return [
    failed === null ? row.arm : `${row.arm} (not whole)`,
    epsilonOfRow(row),
    interval(figures['top-1'], 100, 1),
    interval(figures['cross-entropy'], 1, 3),
    meters === null ? '' : String(meters.rounds),
    meters === null ? '' : bytesText(meters.bytesDownPerClientRound),
    meters === null ? '' : bytesText(meters.bytesUpPerClientRound),
    meters === null ? '' : flopsText(meters.clientFlopsPerRound),
    meters === null ? '' : meters.llmTokens.toLocaleString('en-US'),
  ]
}

function interval(figure: Figure | undefined, scale: number, digits: number): string {
  if (figure === undefined) return 'none'
  const text = (value: number) => (value * scale).toFixed(digits)
  return `${text(figure.value)} (${text(figure.low)} to ${text(figure.high)})`
}
