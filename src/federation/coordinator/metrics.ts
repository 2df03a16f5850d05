// Prometheus metrics. How many clients voted is a private number: counts of votes, seats and enrolments are there only if
// the owner declared the cohort public, and times of those requests as a summary without a count.
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { RefusalCode } from '../protocol/messages.ts'
import type { Coordinator } from './coordinator.ts'

export interface Metrics {
  readonly contentType: string
  answered(method: string, path: string, status: number, ms: number): void
  refused(code: RefusalCode): void
  counted(type: 'counted' | 'again'): void
  text(): Promise<string>
}

export function createMetrics(coordinator: Coordinator): Metrics {
  const registers = [new Registry()]
  const registry = registers[0] as Registry
  const requests = new Histogram({
    name: 'pretext_request_seconds',
    help: 'Time to the answer; requests that tell of single clients only if the cohort is public',
    labelNames: ['route', 'status'],
    buckets: [0.005, 0.02, 0.05, 0.1, 0.25, 1, 5],
    registers,
  })
  const refusals = new Counter({
    name: 'pretext_refusals_total',
    help: 'Refused requests by code',
    labelNames: ['code'],
    registers,
  })
  const votes = new Counter({
    name: 'pretext_votes_total',
    help: 'Counted votes; only if the cohort is declared public',
    labelNames: ['type'],
    registers,
  })
  new Gauge({
    name: 'pretext_rounds',
    help: 'Rounds by state',
    labelNames: ['state'],
    registers,
    async collect() {
      const rounds = await coordinator.store.rounds()
      for (const state of ['open', 'closed', 'released', 'refused'] as const)
        this.set({ state }, rounds.filter((round) => round.state === state).length)
    },
  })
  new Gauge({
    name: 'pretext_resident_bytes',
    help: 'Memory of this process',
    registers,
    collect() {
      this.set(process.memoryUsage.rss())
    },
  })
  return {
    contentType: registry.contentType,
    answered(method, path, status, ms) {
      const route = routeOf(method, path)
      if (!coordinator.publicCohort && PER_CLIENT.has(route)) return
      requests.observe({ route, status: String(status) }, ms / 1000)
    },
    refused(code) {
      if (coordinator.publicCohort || !TELLING.has(code)) refusals.inc({ code })
    },
    counted(type) {
      if (coordinator.publicCohort) votes.inc({ type })
    },
    text: () => registry.metrics(),
  }
}

const PER_CLIENT = new Set(['PUT vote', 'POST seat', 'POST clients', 'GET task', 'GET blobs', 'GET state'])
/** Refusals that honest clients meet: their number follows the number of clients. */
const TELLING = new Set<RefusalCode>(['round-closed', 'no-seat-left', 'try-later', 'other-vote', 'replayed'])

/** A few names, whatever is asked for: label values are not for clients to choose. */
function routeOf(method: string, path: string): string {
  const match = /^\/v1\/(?:rounds\/[0-9a-f]{64}\/(vote|seat|state)|(task|clients|blobs|operator)\b)/.exec(
    path,
  )
  const name = match?.[1] ?? match?.[2]
  const verb = ['GET', 'POST', 'PUT'].includes(method) ? method : 'other'
  return name === undefined ? 'other' : `${verb} ${name}`
}
