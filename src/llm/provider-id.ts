// The name of a remote model. Endpoint, API and extra settings change the answers, so they are part of it (and so of every
// cache key).
import { createHash } from 'node:crypto'
import { PretextError } from '../errors.ts'

export interface ProviderModel {
  readonly model: string
  /** Undefined for the provider's own endpoint. */
  readonly url: string | undefined
  readonly api?: 'chat' | 'completions'
  readonly extraBody?: Readonly<Record<string, unknown>>
}

export function providerModelId(
  provider: string,
  { model, url, api, extraBody = {} }: ProviderModel,
): string {
  const at = url === undefined ? '' : `@${checked(url)}`
  const extra = Object.keys(extraBody).length === 0 ? '' : `+${shortHash(extraBody)}`
  return `${provider}:${model}${at}${api === 'completions' ? ' (completions)' : ''}${extra}`
}

function checked(url: string): string {
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch {
    // The address may hold a key: it is not repeated.
    throw new PretextError('expected llm.baseUrl to be an address, got something else', {
      code: 'config',
      hint: 'write it like http://localhost:8000/v1',
    })
  }
  if (parsed.username + parsed.password !== '') {
    throw new PretextError('expected llm.baseUrl without a user and a password, it has them', {
      code: 'config',
      hint: 'no request could be sent to it; put the key into the environment variable that llm.apiKeyEnv names',
    })
  }
  return `${parsed.origin}${parsed.pathname.replace(/\/+$/, '')}`
}

function shortHash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 8)
}
