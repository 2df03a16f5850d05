// What an operator can ask of a running coordinator: pause, resume, drain, and one-time tokens for new clients.
import { createHash, randomBytes } from 'node:crypto'
import type { Store } from '../stores/store.ts'
import type { Coordinator } from './coordinator.ts'
import { Refusal } from './refusal.ts'

const TOKENS_AT_ONCE = 100

export async function operatorAction(
  { store }: Coordinator,
  action: string,
  now: number,
): Promise<{ readonly control: string; readonly tokens?: readonly string[] }> {
  switch (action) {
    case 'pause':
      await store.setControl('paused')
      return { control: 'paused' }
    case 'resume':
      await store.setControl('running')
      return { control: 'running' }
    case 'drain':
      await store.setControl('draining')
      return { control: 'draining' }
    case 'tokens':
      return { control: await store.control(), tokens: await mintTokens(store, TOKENS_AT_ONCE, now) }
    default:
      throw new Refusal('not-found')
  }
}

/** One-time enrolment tokens, in hex so that none looks like an option of a command line; the store keeps their sha256 alone. */
export async function mintTokens(store: Store, count: number, now: number): Promise<string[]> {
  const tokens = Array.from({ length: count }, () => randomBytes(24).toString('hex'))
  for (let i = 0; i < tokens.length; i += 1000) {
    const hashes = tokens.slice(i, i + 1000).map((t) => createHash('sha256').update(t).digest('hex'))
    await store.addTokens(hashes, now)
  }
  return tokens
}
