// The body of a request, whole and not larger than it may be: counted while it arrives, whatever its headers say.
import { fromUtf8 } from '../protocol/bytes.ts'
import { Refusal } from './refusal.ts'

/** How much a request reserves: what it says that its body has, or the largest where it does not say. */
function expectedSize({ headers }: Request, largest: number): number {
  const said = Number(headers.get('content-length') ?? Number.NaN)
  return said >= 0 && said <= largest ? said : largest
}

/**
 * Room for the bodies that are held at the same time, in bytes, of all and of one sender; kept until the request is answered.
 * Who comes when there is none is asked to come again. One body that is larger than all of it has it alone.
 */
export function bodyRoom(most: number, mostOfOne = most) {
  const held = new Map<string, number>()
  let all = 0
  const fits = (before: number, size: number, limit: number) => before === 0 || before + size <= limit
  return async <T>(
    request: Request,
    { largest, sender = '' }: { readonly largest: number; readonly sender?: string },
    work: () => Promise<T>,
  ): Promise<T> => {
    const size = expectedSize(request, largest)
    const own = held.get(sender) ?? 0
    if (!fits(all, size, most) || !fits(own, size, mostOfOne))
      throw new Refusal('try-later', 'many requests are under way', { 'retry-after': '1' })
    all += size
    held.set(sender, own + size)
    try {
      return await work()
    } finally {
      all -= size
      const left = (held.get(sender) as number) - size
      if (left > 0) held.set(sender, left)
      else held.delete(sender)
    }
  }
}

export async function readBody(request: Request, largest: number, contentType: string): Promise<Uint8Array> {
  const { headers } = request
  const type = (headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase()
  if (type !== contentType) throw new Refusal('wrong-type', `expected content-type ${contentType}`)
  const encoding = headers.get('content-encoding')
  if (encoding !== null && encoding !== 'identity')
    throw new Refusal('wrong-type', 'expected a body without content-encoding')
  const said = headers.get('content-length')
  if (said !== null) {
    // HTTP cuts a body off at its content-length, so this is no more than what was said.
    if (!(Number(said) <= largest)) throw tooLarge(largest)
    const body = new Uint8Array(await request.arrayBuffer())
    if (body.length > largest) throw tooLarge(largest)
    return body
  }
  if (request.body === null) return new Uint8Array()
  const parts: Uint8Array[] = []
  let size = 0
  const reader = request.body.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      size += value.length
      if (size > largest) throw tooLarge(largest)
      parts.push(value)
    }
  } finally {
    reader.releaseLock()
  }
  if (parts.length === 1) return parts[0] as Uint8Array
  const whole = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

interface Parser<T> {
  safeParse(
    value: unknown,
  ):
    | { success: true; data: T }
    | { success: false; error: { issues: readonly { path: readonly PropertyKey[] }[] } }
}

/** A JSON body of a schema. Throws Refusal `malformed` that names the field and quotes nothing. */
export function parseBody<T>(body: Uint8Array, schema: Parser<T>): T {
  let value: unknown
  try {
    value = JSON.parse(fromUtf8(body))
  } catch {
    throw new Refusal('malformed', 'expected a body of JSON')
  }
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const at = parsed.error.issues[0]?.path[0]
  // Only names of the schema's own fields can stand in a path of one step.
  throw new Refusal(
    'malformed',
    `the body is not of the expected form${at === undefined ? '' : ` (${String(at)})`}`,
  )
}

function tooLarge(largest: number): Refusal {
  return new Refusal('too-large', `expected ${largest} bytes at most`)
}
