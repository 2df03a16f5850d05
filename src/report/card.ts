// The dataset card: README.md with the front matter that the Hugging Face Hub reads (hub-docs, datasetcard.md), and the
// privacy statement, limits, making and samples of the corpus for people.
import { stringify } from 'yaml'
import type { Interval, RunReport } from './data.ts'
import { count, counted, decimal, epsilonText, percent, timeText } from './figures.ts'
import { type PrivacyStatement, privacyStatement, SIMULATION_BANNER } from './privacy-statement.ts'

export interface CardOptions {
  /** ISO 639 codes. Left out of the card where not given: it is not guessed. */
  readonly language?: string | readonly string[]
  /** The Hub's name of a licence; `other` by default. */
  readonly license?: string
  /** A title; the name of the run by default. */
  readonly prettyName?: string
  /** Where the Parquet file lies beside the card. */
  readonly dataFile?: string
}

const SIZES: readonly (readonly [number, string])[] = [
  [1e3, 'n<1K'],
  [1e4, '1K<n<10K'],
  [1e5, '10K<n<100K'],
  [1e6, '100K<n<1M'],
  [1e7, '1M<n<10M'],
  [1e8, '10M<n<100M'],
  [1e9, '100M<n<1B'],
]

/** The Hub's class for a number of rows. */
export function sizeCategory(rows: number): string {
  return SIZES.find(([below]) => rows < below)?.[1] ?? 'n>1B'
}

/** The words of others as Markdown text: on one line, with nothing in it that Markdown or HTML would act on. */
export function inline(text: string): string {
  return (
    text
      .replace(/\s+/g, ' ')
      .trim()
      .replace(/&/g, '&amp;')
      .replace(/</g, '&lt;')
      .replace(/>/g, '&gt;')
      .replace(/[\\`*_[\]|~#!@$]/g, '\\$&')
      // Addresses would become links by themselves.
      .replace(/:\/\/|www\./g, (start) => `${start.slice(0, -1)}\\${start.slice(-1)}`)
  )
}

/** A text as it is, in a fence that it cannot close. */
export function fenced(text: string): string {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map((run) => run.length))
  const fence = '`'.repeat(longest + 1)
  // A lone carriage return is a line end in Markdown too.
  return `${fence}text\n${text.replace(/\r\n?/g, '\n')}\n${fence}`
}

export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

function frontMatter(report: RunReport, options: CardOptions): string {
  const { language } = options
  const languages = language === undefined ? [] : typeof language === 'string' ? [language] : [...language]
  return stringify(
    {
      ...(languages.length > 0 ? { language: languages } : {}),
      license: options.license ?? 'other',
      pretty_name: `${report.simulation ? 'SIMULATION: ' : ''}${options.prettyName ?? report.run.name}`,
      size_categories: [sizeCategory(report.corpus.texts)],
      task_categories: ['text-generation'],
      tags: ['synthetic', 'differential-privacy', 'pretext', ...(report.simulation ? ['simulation'] : [])],
      annotations_creators: ['machine-generated'],
      language_creators: ['machine-generated'],
      source_datasets: ['original'],
      configs: [
        {
          config_name: 'default',
          data_files: [{ split: 'train', path: options.dataFile ?? 'data/train.parquet' }],
        },
      ],
    },
    { lineWidth: 0 },
  )
}

/** README.md of the corpus of a run, ending in a newline. */
export function renderCard(report: RunReport, options: CardOptions = {}): string {
  const { run, corpus, llm, embedder } = report
  const statement = privacyStatement(report)
  const labels = Object.entries(corpus.labels).sort(([, a], [, b]) => b - a)
  const parts = [
    `# ${inline(options.prettyName ?? run.name)}`,
    report.simulation ? `> **${SIMULATION_BANNER.replace('. ', '.** ')}` : '',
    `${counted(corpus.texts, 'synthetic text')}, written by a language model that never saw the private texts of the data set ${inline(run.dataset)}; what it was told of them are votes with noise (PrE-Text, arXiv 2406.02958).`,
    '## Privacy',
    `**${statement.headline}**`,
    ...privacyParagraphs(statement),
    '## How it was made',
    bulletList([
      `${counted(report.rounds.length, 'round')} of private evolution, one noisy release in each; ${counted(corpus.seeds, 'survivor')} expanded into the corpus`,
      `language model: ${llm.id}`,
      `embedder: ${embedder.model} (${embedder.kind}, ${embedder.dtype}, ${embedder.dim} dimensions), sha256 ${embedder.sha256}`,
      `pretext ${run.pretextVersion}, run ${run.id}, finished ${timeText(run.finishedAt)}, seed ${run.seed}, config sha256 ${run.configHash}`,
      ...report.priorKnowledge.map((line) => `told beforehand: ${line}`),
    ]),
    fenced(run.command),
    '## Figures',
    markdownTable(
      ['Round', 'ε so far', 'Survivors', 'Distance of consented texts', 'Distinct-2', 'Equal openings'],
      report.rounds.map((round) => [
        String(round.round),
        epsilonText(round.epsilon),
        count(round.survivors),
        interval(round.consentedDistance),
        decimal(round.diversity.distinct2),
        percent(round.diversity.equalOpenings),
      ]),
    ),
    `The corpus: distance of the consented texts ${interval(report.final.consentedToCorpus)}, distinct-1 ${decimal(corpus.diversity.distinct1)}, distinct-2 ${decimal(corpus.diversity.distinct2)}, equal openings ${percent(corpus.diversity.equalOpenings)}. Distances are mean cosine distances to the nearest synthetic text, with 95% bootstrap intervals over clients.`,
    labels.length > 0
      ? markdownTable(
          ['Label', 'Texts'],
          labels.map(([label, texts]) => [inline(label), count(texts)]),
        )
      : '',
    report.warnings.length > 0 ? `### Warnings\n\n${bulletList(report.warnings)}` : '',
    '## Samples',
    ...corpus.samples
      .slice(0, 8)
      .map((sample) =>
        sample.label === undefined
          ? fenced(sample.text)
          : `${inline(sample.label)}:\n\n${fenced(sample.text)}`,
      ),
  ]
  return `---\n${frontMatter(report, options)}---\n\n${parts.filter((part) => part !== '').join('\n\n')}\n`
}

/** Sentence, facts and limits of a statement; the headline is its reader's. */
export function privacyParagraphs(statement: PrivacyStatement): string[] {
  return [
    inline(statement.sentence),
    markdownTable(
      ['', ''],
      statement.facts.map((fact) => [
        fact.term,
        inline(fact.note === undefined ? fact.value : `${fact.value}. ${fact.note}`),
      ]),
    ),
    '### What this does not cover',
    bulletList(statement.notCovered),
  ]
}

export function bulletList(lines: readonly string[]): string {
  return lines.map((line) => `- ${inline(line)}`).join('\n')
}

function interval(of: Interval | null): string {
  return of === null ? 'not measured' : `${decimal(of.mean)} (${decimal(of.low)} to ${decimal(of.high)})`
}
