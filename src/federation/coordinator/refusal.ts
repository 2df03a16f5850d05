// A request that is refused: one code of the protocol, an answer of RFC 9457, and never a word of what was sent.
import { type Problem, REFUSALS, type RefusalCode } from '../protocol/messages.ts'

export class Refusal extends Error {
  readonly code: RefusalCode
  readonly headers: Readonly<Record<string, string>>

  constructor(code: RefusalCode, detail?: string, headers: Readonly<Record<string, string>> = {}) {
    super(detail ?? REFUSALS[code].meaning)
    this.name = 'Refusal'
    this.code = code
    this.headers = headers
  }
}

export function refusalResponse(refusal: Refusal): Response {
  const { status, meaning } = REFUSALS[refusal.code]
  const problem: Problem = {
    type: `urn:pretext:refusal:${refusal.code}`,
    title: meaning,
    status,
    code: refusal.code,
    ...(refusal.message === meaning ? {} : { detail: refusal.message }),
  }
  const headers = {
    ...refusal.headers,
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
  }
  return new Response(JSON.stringify(problem), { status, headers })
}
