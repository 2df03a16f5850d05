// A sequence of events as a bag of terms: what every accountant computes on. Composition is symmetric, so equal events
// are counted together, in an order that does not depend on theirs.
import { PretextError } from '../errors.ts'
import { checkEvent, type MechanismEvent, type SimpleEvent } from './events.ts'
import type { Adjacency } from './units.ts'

export interface Term {
  readonly event: SimpleEvent
  readonly count: number
}

/**
 * Takes `repeated` and `composed` apart, drops what is never sampled and the sampling of what always is. Several Gaussian
 * sums of one and the same sample are one Gaussian sum of it (mu adds in squares), so that sampled terms hold one event.
 */
export function termsOf(events: Iterable<MechanismEvent>): readonly Term[] {
  const terms = new Map<string, Term>()
  const add = (event: MechanismEvent, count: number): void => {
    if (event.type === 'composed') {
      for (const part of event.events) add(part, count)
      return
    }
    if (event.type === 'repeated') {
      add(event.event, count * event.count)
      return
    }
    if (event.type === 'poissonSampled' || event.type === 'fixedSizeSampled') {
      const inside = termsOf([event.event])
      if (event.rate === 0 || inside.length === 0) return
      if (event.rate === 1 || inside.some((term) => term.event.type === 'exact')) {
        for (const term of inside) add(term.event, term.count * count)
        return
      }
      const mu = muOf(inside)
      put(
        mu === undefined ? event : { ...event, event: { type: 'gaussian', noiseMultiplier: 1 / mu } },
        count,
      )
      return
    }
    put(event, count)
  }
  const put = (event: SimpleEvent, count: number): void => {
    const key = JSON.stringify([event.type, Object.entries(event).sort()])
    const before = terms.get(key)?.count ?? 0
    terms.set(key, { event, count: before + count })
  }
  for (const event of events) {
    checkEvent(event)
    add(event, 1)
  }
  return [...terms.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, term]) => term)
}

/** sqrt(sum of count / noiseMultiplier^2) if every term is a Gaussian release without sampling. */
export function muOf(terms: readonly Term[]): number | undefined {
  let sum = 0
  for (const { event, count } of terms) {
    if (event.type !== 'gaussian') return undefined
    sum += count / event.noiseMultiplier ** 2
  }
  return Math.sqrt(sum)
}

/** True if something was released without noise: no accountant has anything to compute. */
export function hasExact(terms: readonly Term[]): boolean {
  return terms.some(({ event }) => event.type === 'exact')
}

/** What an event is called in an error: `gaussian`, `gaussian in poissonSampled`. */
export function nameOf(event: MechanismEvent): string {
  return 'event' in event ? `${nameOf(event.event)} in ${event.type}` : event.type
}

/**
 * Why a sampled event has no bound under this adjacency: a client that may be exchanged changes a Poisson sample by two
 * coins, and a cohort of fixed size changes by two clients when one leaves.
 */
export function adjacencyRefusal(terms: readonly Term[], adjacency: Adjacency): string | undefined {
  for (const { event } of terms) {
    if (event.type === 'poissonSampled' && adjacency !== 'add-remove') {
      return 'Poisson sampling is accounted under add-remove adjacency'
    }
    if (event.type === 'fixedSizeSampled' && adjacency !== 'substitution') {
      return 'sampling of a fixed size is accounted under substitution adjacency'
    }
  }
  return undefined
}

/** The error of an accountant that has no answer. */
export function refused(accountant: string, reason: string): PretextError {
  return new PretextError(`the ${accountant} accountant cannot answer: ${reason}`, {
    code: 'config',
    hint: 'analytic: Gaussian without sampling; zcdp: no sampling; rdp: Poisson (add-remove) and fixed-size (substitution) sampling of Gaussian; pld: Gaussian, Laplace, Poisson sampling of Gaussian',
  })
}
