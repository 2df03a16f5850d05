// Holds every request to the version of the protocol that is spoken here; the one place that all of them pass.
import type { Context, MiddlewareHandler } from 'hono'
import { PROTOCOL } from '../protocol/manifest.ts'
import { namesVersion, PROTOCOL_HEADER, refusedVersion, spokenIn } from '../protocol/version.ts'
import { Refusal } from './refusal.ts'

/** `whom` for people. What refuses throws the refusal, or makes an answer of it. */
export function spokenVersion(
  whom: string,
  refuse: (refusal: Refusal, c: Context, spoken: string) => Promise<Response> = async (refusal) => {
    throw refusal
  },
): MiddlewareHandler {
  return async (c, next) => {
    if (!namesVersion(c.req.path)) return next()
    const spoken = spokenIn(c.req.header(PROTOCOL_HEADER))
    if (spoken === PROTOCOL) return next()
    // A code that every version knows: an older one shows its owner the detail.
    return refuse(new Refusal('malformed', refusedVersion(whom, spoken)), c, spoken)
  }
}

/** Names the version in an answer. */
export function nameVersion(c: Context): void {
  if (namesVersion(c.req.path)) c.header(PROTOCOL_HEADER, PROTOCOL)
}
