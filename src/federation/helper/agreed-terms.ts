// What the helper's operator agreed to, by a config of its own; a round that differs in any of it is refused, by the name of
// the field. So a leader cannot ask for less noise, a smaller cohort, another bound or other aggregators.
import type { Manifest } from '../protocol/manifest.ts'

export interface AgreedTerms {
  readonly rounds: number
  /** Candidates of a round. */
  readonly candidates: (round: number) => number
  readonly embedder: Manifest['embedder']
  /** Names of the labels, where there are any. */
  readonly labels: readonly string[] | null
  readonly texts: Manifest['texts']
  readonly vote: Manifest['vote']
  readonly noise: Manifest['noise']
  readonly cohort: Manifest['cohort']
  readonly aggregation: Manifest['aggregation']
}

/** The first difference, in words; undefined where there is none. */
export function disagreement(manifest: Manifest, agreed: AgreedTerms): string | undefined {
  const fields: readonly (readonly [string, unknown, unknown])[] = [
    ['rounds', manifest.rounds, agreed.rounds],
    ['candidates.count', manifest.candidates.count, agreed.candidates(manifest.round)],
    ['labels', manifest.labels?.names ?? null, agreed.labels],
    ...(['embedder', 'texts', 'vote', 'noise', 'cohort', 'aggregation'] as const).flatMap((section) => {
      const [theirs, own] = [entries(manifest[section]), entries(agreed[section])]
      const keys = new Set([...theirs.keys(), ...own.keys()])
      return [...keys].map((key) => [`${section}.${key}`, theirs.get(key), own.get(key)] as const)
    }),
  ]
  for (const [name, theirs, own] of fields) {
    const [asked, had] = [JSON.stringify(theirs ?? null), JSON.stringify(own ?? null)]
    if (asked !== had) return `${name}: the round has ${asked}, the helper’s config ${had}`
  }
  return manifest.round > agreed.rounds ? `round: the run has ${agreed.rounds} rounds` : undefined
}

function entries(section: object): Map<string, unknown> {
  return new Map(Object.entries(section))
}
