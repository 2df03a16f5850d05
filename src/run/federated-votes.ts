// The voting step of a round where the clients are programs elsewhere: open the round, wait, close, aggregate, publish.
// Everything around it (src/evolution/round.ts) is the same as with clients in this process.
import { readFile } from 'node:fs/promises'
import type { Config } from '../config/schema.ts'
import type { EmbedderIdentity } from '../embeddings/embedder.ts'
import { PretextError } from '../errors.ts'
import type { OnEvent } from '../events.ts'
import type { Labels } from '../evolution/labels.ts'
import type { RoundSteps } from '../evolution/round.ts'
import { collectRound, publishRelease } from '../federation/coordinator/collect.ts'
import type { Coordinator } from '../federation/coordinator/coordinator.ts'
import { voteTermsOf } from '../federation/protocol/vote-terms.ts'
import type { ReleaseEvent } from '../privacy/events.ts'
import type { LedgerTerms } from '../privacy/ledger.ts'
import { releaseName, voteOptions } from './local-steps.ts'

export type FederatedConfig = Config & { readonly federation: NonNullable<Config['federation']> }

export interface FederatedVotesOptions {
  readonly config: FederatedConfig
  readonly coordinator: Coordinator
  readonly embedder: EmbedderIdentity
  readonly labels: Labels
  readonly mechanism: ReleaseEvent
  readonly ledger: string
  readonly terms: LedgerTerms
  readonly run: string
  readonly releaseFile: (round: number) => string
  readonly onEvent: OnEvent
  readonly onRedrawn: (release: string) => void
  readonly signal?: AbortSignal
}

/** What a config says of every round, whoever reads it: leader and helper each have one, and the rounds must fit both. */
export function agreedBefore(
  { data, histogram, privacy, federation }: FederatedConfig,
  mechanism: ReleaseEvent,
) {
  if (mechanism.type !== 'gaussian') throw new RangeError('expected Gaussian noise in a federation')
  const { target, overSelection } = federation
  return {
    texts: { minWords: data.minWords, maxWords: data.maxWords },
    vote: voteTermsOf(voteOptions({ histogram, privacy }), histogram.distance),
    noise: {
      noiseMultiplier: mechanism.noiseMultiplier,
      unit: 'client',
      adjacency: privacy.adjacency,
      delta: privacy.delta,
    },
    cohort: {
      minimum: privacy.minimumClients,
      target: target ?? null,
      seats: target === undefined ? null : Math.ceil(target * overSelection),
    },
  } as const
}

export function federatedVotes(options: FederatedVotesOptions): RoundSteps['votes'] {
  const { config, coordinator, labels, mechanism, onEvent, run } = options
  const { evolution, federation } = config
  return async (population, embeddings, t) => {
    const stage = { stage: 'vote', label: `round ${t}/${evolution.rounds}: waiting for votes` } as const
    if ((await coordinator.store.control()) === 'draining') throw drained(t)
    onEvent({ type: 'stage', ...stage })
    const names = labels.names.flatMap((name) => (name === undefined ? [] : [name]))
    const closed = await collectRound(
      coordinator,
      {
        run,
        round: t,
        rounds: evolution.rounds,
        candidates: embeddings,
        embedder: options.embedder,
        labels:
          names.length === 0
            ? null
            : { names, of: population.map(({ label }) => names.indexOf(label as string)) },
        ...agreedBefore(config, mechanism),
        encoding: federation.candidates,
        openSeconds: federation.roundMinutes * 60,
        attempts: federation.attempts,
      },
      options.signal,
    )
    const release = releaseName(t)
    const file = options.releaseFile(t)
    const { histogram: noisy, redrawn } = await coordinator.aggregation.release(closed, {
      file,
      ledger: options.ledger,
      terms: options.terms,
      charge: { run, release, mechanism },
    })
    await publishRelease(coordinator, closed.hash, await readFile(file))
    if (redrawn) options.onRedrawn(release)
    onEvent({ type: 'stage-end', ...stage })
    return noisy
  }
}

function drained(t: number): PretextError {
  return new PretextError(`drained before round ${t}; the run is sealed`, {
    code: 'interrupted',
    hint: 'go on with --resume after "pretext serve CONFIG --control resume"',
  })
}
