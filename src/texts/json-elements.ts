// Cuts a JSON file of the form [element, ...] or {"client": [element, ...], ...} into its elements without parsing the
// whole, so that a file of a gigabyte is never one string or a million objects. Elements come as raw JSON.
import { dataError } from './bytes.ts'
import { MAX_ROW_BYTES } from './row.ts'

export interface JsonElement {
  /** The key that the list lies under, as raw JSON string; undefined for a flat list. */
  readonly client: Buffer | undefined
  readonly json: Buffer
}

type State = 'top' | 'element' | 'after element' | 'key' | 'colon' | 'list' | 'after list' | 'end'

const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a]
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d]

const isBlank = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
const endsScalar = (byte: number): boolean => byte === COMMA || byte === CLOSE_LIST || isBlank(byte)

/** Finds the end of one JSON value across chunks, by quotes and brackets alone. */
function valueScanner(): { start(byte: number): void; ends(byte: number): 'no' | 'with' | 'before' } {
  let scalar = false
  let inString = false
  let escaped = false
  let depth = 0
  return {
    start(byte) {
      inString = byte === QUOTE
      escaped = false
      depth = byte === OPEN_LIST || byte === OPEN_OBJECT ? 1 : 0
      scalar = !inString && depth === 0
    },
    ends(byte) {
      if (scalar) return endsScalar(byte) ? 'before' : 'no'
      if (inString) {
        if (escaped) escaped = false
        else if (byte === BACKSLASH) escaped = true
        else if (byte === QUOTE) {
          inString = false
          if (depth === 0) return 'with'
        }
        return 'no'
      }
      if (byte === QUOTE) inString = true
      else if (byte === OPEN_LIST || byte === OPEN_OBJECT) depth++
      else if ((byte === CLOSE_LIST || byte === CLOSE_OBJECT) && --depth === 0) return 'with'
      return 'no'
    },
  }
}

export async function* jsonElements(
  chunks: AsyncIterable<Buffer>,
  path: string,
): AsyncGenerator<JsonElement> {
  const scanner = valueScanner()
  let state = 'top' as State
  let inObject = false
  let mayClose = false
  let client: Buffer | undefined
  let scanning = false
  let held: Buffer[] = []
  let heldBytes = 0
  let rows = 0

  const unexpected = (): Error =>
    dataError(
      `${path}: after row ${rows}: expected a list of texts, or an object of lists ({"client": ["text", ...]}), got something else`,
      'check that the file is whole and valid JSON; for one object a line use format jsonl',
    )
  const hold = (part: Buffer): void => {
    heldBytes += part.length
    if (heldBytes > MAX_ROW_BYTES)
      throw dataError(
        `${path}: after row ${rows}: expected rows of at most 16 MB, got a longer one`,
        'cut the row',
      )
    held.push(part)
  }
  const release = (): Buffer => {
    const whole = held.length === 1 ? (held[0] as Buffer) : Buffer.concat(held)
    held = []
    heldBytes = 0
    scanning = false
    return whole
  }
  /** A structural byte outside a value; true where a value starts at it. */
  const step = (byte: number): boolean => {
    switch (state) {
      case 'top':
        if (byte !== OPEN_LIST && byte !== OPEN_OBJECT) throw unexpected()
        inObject = byte === OPEN_OBJECT
        state = inObject ? 'key' : 'element'
        mayClose = true
        return false
      case 'key':
        if (byte === QUOTE) return true
        if (byte !== CLOSE_OBJECT || !mayClose) throw unexpected()
        state = 'end'
        return false
      case 'colon':
        if (byte !== COLON) throw unexpected()
        state = 'list'
        return false
      case 'list':
        if (byte !== OPEN_LIST) throw unexpected()
        state = 'element'
        mayClose = true
        return false
      case 'element':
        if (byte === CLOSE_LIST && mayClose) {
          state = inObject ? 'after list' : 'end'
          return false
        }
        if (byte === CLOSE_LIST || byte === COMMA || byte === CLOSE_OBJECT || byte === COLON)
          throw unexpected()
        return true
      case 'after element':
        if (byte === COMMA) {
          state = 'element'
          mayClose = false
        } else if (byte === CLOSE_LIST) state = inObject ? 'after list' : 'end'
        else throw unexpected()
        return false
      case 'after list':
        if (byte === COMMA) {
          state = 'key'
          mayClose = false
        } else if (byte === CLOSE_OBJECT) state = 'end'
        else throw unexpected()
        return false
      case 'end':
        throw unexpected()
    }
  }

  for await (const chunk of chunks) {
    let start = 0
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i] as number
      if (!scanning) {
        if (isBlank(byte) || !step(byte)) continue
        scanning = true
        start = i
        scanner.start(byte)
        continue
      }
      const ended = scanner.ends(byte)
      if (ended === 'no') continue
      const end = ended === 'with' ? i + 1 : i
      hold(chunk.subarray(start, end))
      const value = release()
      if (state === 'key') {
        client = value
        state = 'colon'
      } else {
        rows++
        state = 'after element'
        yield { client: inObject ? client : undefined, json: value }
      }
      // A scalar ends before this byte, which is a structural one still to be taken.
      if (ended === 'before' && !isBlank(byte)) step(byte)
    }
    if (scanning) {
      hold(chunk.subarray(start))
    }
  }
  if (state !== 'end') throw unexpected()
}
