// The operator's page: what runs, what it spent, which rounds there were. Numbers of clients only if declared public.
import { html, raw } from 'hono/html'
import { epsilonOf } from '../../privacy/accountant.ts'
import { type Coordinator, spokenManifest } from './coordinator.ts'

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #d7dce1}
.note{background:#fff6e0;border-left:4px solid #d99a00;padding:.6rem 1rem}code{font-size:.85em}`

export async function statusPage(coordinator: Coordinator) {
  const { store, privacy, aggregation, clock, publicCohort } = coordinator
  const control = await store.control()
  const rounds = await Promise.all(
    (await store.rounds()).map(async (round) => ({
      ...round,
      manifest: round.manifest,
      terms: await spokenManifest(coordinator, round.manifest),
      voters: publicCohort ? await store.voters(round.manifest) : undefined,
    })),
  )
  const released = rounds.filter((round) => round.state === 'released')
  const spent = epsilonOf(
    released.flatMap(({ terms }) =>
      terms === undefined
        ? []
        : [{ type: 'gaussian' as const, noiseMultiplier: terms.noise.noiseMultiplier }],
    ),
    privacy.delta,
  )
  const unread = released.filter(({ terms }) => terms === undefined).length
  const left = (deadline: number) => {
    const seconds = Math.round((deadline - clock.now()) / 1000)
    return seconds > 0 ? `${seconds} s left` : 'deadline passed'
  }
  return html`<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${coordinator.name}</title>
<meta name="viewport" content="width=device-width"><style>${raw(STYLE)}</style></head><body>
<h1>${coordinator.name}</h1>
<p>State: <strong>${control}</strong>. Epsilon of the released rounds ${spent.toFixed(4)} of ${privacy.epsilon.toFixed(4)}
at delta ${privacy.delta}${
    unread === 0 ? '' : `, without ${unread} of an earlier version, which the ledger has`
  } (unit ${privacy.unit}, ${privacy.adjacency}). Minimum cohort ${privacy.minimumCohort}.</p>
<p class="note">${aggregation.terms.mode} aggregation: ${aggregation.whoSeesAVote}.</p>
<table><thead><tr><th>round</th><th>attempt</th><th>state</th><th>candidates</th><th>deadline</th>${
    publicCohort ? html`<th>votes</th>` : ''
  }<th>name</th></tr></thead><tbody>
${rounds.map(
  (round) => html`<tr><td>${round.number}</td><td>${round.attempt}</td><td>${round.state}</td>
<td>${round.terms?.candidates.count ?? ''}</td><td>${round.state === 'open' ? left(round.deadline) : ''}</td>
${publicCohort ? html`<td>${round.voters}</td>` : ''}<td><code>${round.manifest.slice(0, 16)}</code></td></tr>`,
)}
</tbody></table>
<p>${publicCohort ? '' : 'How many clients took part is private and not shown.'}
<a href="/metrics">metrics</a> · <a href="/v1/openapi.json">protocol</a></p></body></html>`
}
