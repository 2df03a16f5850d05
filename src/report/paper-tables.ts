// What the paper reports (PrE-Text, arXiv 2406.02958, tables 2, 3 and 6), to be read beside our own figures and never as one
// of them: other texts, other clients, another model, another vocabulary.
import type { ComparisonRow } from './comparison-data.ts'
import { bytesText } from './comparison-words.ts'
import { html, type Markup } from './markup.ts'

const DATA = ['JOBS', 'FORUMS', 'MICROBLOG', 'CODE'] as const

interface PaperRow {
  readonly method: string
  readonly epsilon: string
  readonly accuracy: readonly number[]
  readonly crossEntropy: readonly number[]
}

const row = (method: string, epsilon: string, accuracy: string, crossEntropy: string): PaperRow => ({
  method,
  epsilon,
  accuracy: accuracy.split(' ').map(Number),
  crossEntropy: crossEntropy.split(' ').map(Number),
})

/** Table 2 (next-token accuracy) and table 3 (cross-entropy): DistilGPT2, tuned on what each method gives. */
export const PAPER_ROWS: readonly PaperRow[] = [
  row('c4 only', '0', '0.695 0.650 0.658 0.622', '1.781 2.154 2.103 2.492'),
  row('Expand-only', '0', '0.702 0.661 0.669 0.635', '1.611 1.883 1.858 2.158'),
  row('DP-Prompt', '1.29', '0.673 0.636 0.642 0.599', '1.799 2.049 2.055 2.312'),
  row('DP-FedAvg', '1.29', '0.701 0.663 0.665 0.636', '1.644 1.888 1.916 2.143'),
  row('DP-FTRL', '1.29', '0.703 0.665 0.667 0.643', '1.594 1.850 1.874 2.007'),
  row('PrE-Text', '1.29', '0.718 0.672 0.680 0.644', '1.482 1.779 1.770 2.004'),
  row('DP-Prompt', '7.58', '0.672 0.637 0.642 0.598', '1.801 2.047 2.055 2.317'),
  row('DP-FedAvg', '7.58', '0.703 0.666 0.666 0.643', '1.598 1.854 1.879 2.008'),
  row('DP-FTRL', '7.58', '0.704 0.667 0.668 0.644', '1.589 1.845 1.867 2.001'),
  row('PrE-Text', '7.58', '0.721 0.673 0.680 0.652', '1.456 1.773 1.771 1.920'),
  row('Expand-private', '∞', '0.730 0.684 0.689 0.687', '1.374 1.682 1.668 1.585'),
]

/** Table 6, for one client: floats and not bytes, as the paper counts. */
export const PAPER_COSTS: readonly (readonly string[])[] = [
  ['DP-FL', '82 million floats', '82 million floats', '3 s', '100'],
  ['PrE-Text', '800,000 floats', '2,048 floats', '0.5 s', '11'],
]

/** Which of our rows stands beside one of theirs: the arm, and the epsilon where the arm has one. */
const OURS: Readonly<Record<string, string>> = {
  'c4 only': 'public-only',
  'Expand-only': 'expand-only',
  'DP-Prompt': 'dp-prompt',
  'DP-FedAvg': 'dp-fedavg',
  'DP-FTRL': 'dp-ftrl',
  'DP-FL': 'dp-fedavg',
  'PrE-Text': 'pretext',
  'Expand-private': 'expand-private',
}

function ours(rows: readonly ComparisonRow[], method: string, epsilon?: string): ComparisonRow | undefined {
  const asked = (row: ComparisonRow) =>
    row.asked === null || epsilon === undefined || String(row.asked.epsilon) === epsilon
  return rows.find((row) => row.arm === OURS[method] && asked(row))
}

/** `rows`: of the comparison, shown in the last column and below the paper's costs. */
export function paperTables(rows: readonly ComparisonRow[]): Markup {
  const table = (title: string, id: string, of: (row: PaperRow) => readonly number[]) =>
    html`<h3>${title}</h3><div class="scroll"><table><thead><tr><th>Method</th><th>ε</th>${DATA.map((name) => html`<th>${name}</th>`)}<th>here</th></tr></thead><tbody>${PAPER_ROWS.map(
      (each) =>
        html`<tr><td>${each.method}</td><td>${each.epsilon}</td>${of(each).map((value) => html`<td>${value.toFixed(3)}</td>`)}<td><strong>${ours(rows, each.method, each.epsilon)?.figures[id]?.value.toFixed(3) ?? '–'}</strong></td></tr>`,
    )}</tbody></table></div>`
  const here = PAPER_COSTS.flatMap(([method = '']) => {
    const meters = ours(rows, method)?.meters
    if (meters === undefined || meters === null) return []
    const { bytesDownPerClientRound: down, bytesUpPerClientRound: up, rounds } = meters
    const cells = [
      bytesText(down),
      bytesText(up),
      `${meters.clientCpuSecondsPerRound.toFixed(2)} s a round`,
      String(rounds),
    ]
    return [[`${OURS[method]} here`, ...cells]]
  })
  return html`<section id="paper"><h2>What the paper reports</h2><p class="soft">Theirs (arXiv 2406.02958): DistilGPT2 on four data sets that were never published. The last column is this comparison, of other texts, clients, model and vocabulary: only the order of the methods can be compared.</p>${table('Their table 2: next-token accuracy', 'top-1', (each) => each.accuracy)}${table('Their table 3: cross-entropy', 'cross-entropy', (each) => each.crossEntropy)}<h3>Their table 6: costs of one client in a round</h3><div class="scroll"><table><thead><tr><th>Method</th><th>Down</th><th>Up</th><th>Compute (theirs for a sample)</th><th>Rounds</th></tr></thead><tbody>${[
    ...PAPER_COSTS,
    ...here,
  ].map(
    (cells) => html`<tr>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>`,
  )}</tbody></table></div></section>\n`
}
