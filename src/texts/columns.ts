// Builds TextColumns from rows in any order with bounded memory: bytes go into one growing buffer, and the rows of one
// client that lie scattered are brought together by a counting sort at the end. No object per text is kept.
import { constants } from 'node:buffer'
import { PretextError } from '../errors.ts'
import type { TextColumns } from './private-texts.ts'

export interface ColumnsBuilder {
  /** `client` numbers clients from 0 in order of appearance. */
  add(text: string, client: number, label: number): void
  readonly texts: number
  finish(clients: number): TextColumns
}

/** `expectedBytes` is a guess that saves copies; pages that are not used cost no memory. */
export function columnsBuilder(expectedBytes = 0): ColumnsBuilder {
  let bytes: Buffer = Buffer.allocUnsafeSlow(Math.max(1024 * 1024, Math.min(expectedBytes, 2 ** 30)))
  let used = 0
  let texts = 0
  let ends = new Float64Array(1024)
  let clientOf = new Uint32Array(1024)
  let labels = new Uint16Array(1024)
  let ordered = true

  return {
    add(text, client, label) {
      const worst = used + text.length * 3
      if (worst > bytes.length) bytes = grown(bytes, used, worst)
      if (texts === ends.length) {
        ends = enlarge(ends, new Float64Array(texts * 2))
        clientOf = enlarge(clientOf, new Uint32Array(texts * 2))
        labels = enlarge(labels, new Uint16Array(texts * 2))
      }
      used += bytes.write(text, used, 'utf8')
      if (texts > 0 && client < (clientOf[texts - 1] as number)) ordered = false
      ends[texts] = used
      clientOf[texts] = client
      labels[texts] = label
      texts++
    },
    get texts() {
      return texts
    },
    finish(clients) {
      const clientOffsets = new Uint32Array(clients + 1)
      for (let i = 0; i < texts; i++) (clientOffsets[(clientOf[i] as number) + 1] as number)++
      for (let c = 0; c < clients; c++)
        clientOffsets[c + 1] = (clientOffsets[c + 1] as number) + (clientOffsets[c] as number)
      const textOffsets = new Float64Array(texts + 1)
      if (ordered) {
        textOffsets.set(ends.subarray(0, texts), 1)
        return { bytes: bytes.subarray(0, used), textOffsets, clientOffsets, labels: labels.slice(0, texts) }
      }
      const next = clientOffsets.slice()
      const order = new Uint32Array(texts)
      for (let i = 0; i < texts; i++) {
        const client = clientOf[i] as number
        const position = next[client] as number
        order[position] = i
        next[client] = position + 1
      }
      const sorted = Buffer.allocUnsafeSlow(used)
      const sortedLabels = new Uint16Array(texts)
      let at = 0
      for (let i = 0; i < texts; i++) {
        const from = order[i] as number
        const start = from === 0 ? 0 : (ends[from - 1] as number)
        at += bytes.copy(sorted, at, start, ends[from] as number)
        textOffsets[i + 1] = at
        sortedLabels[i] = labels[from] as number
      }
      return { bytes: sorted, textOffsets, clientOffsets, labels: sortedLabels }
    },
  }
}

/** The columns of texts that are already in memory, client by client; labels are 0 where none are given. */
export function columnsOf(
  clients: readonly { readonly texts: readonly string[]; readonly labels?: readonly number[] }[],
): TextColumns {
  const builder = columnsBuilder()
  clients.forEach(({ texts, labels }, client) => {
    texts.forEach((text, i) => {
      builder.add(text, client, labels?.[i] ?? 0)
    })
  })
  return builder.finish(clients.length)
}

function grown(bytes: Buffer, used: number, needed: number): Buffer {
  if (needed > constants.MAX_LENGTH)
    throw new PretextError(
      `expected at most ${constants.MAX_LENGTH} bytes of texts in one process, got more`,
      {
        code: 'data',
        hint: 'clip texts with maxWords, or split the clients over several processes of a federation',
      },
    )
  const larger = Buffer.allocUnsafeSlow(Math.min(constants.MAX_LENGTH, Math.max(needed, bytes.length * 2)))
  bytes.copy(larger, 0, 0, used)
  return larger
}

function enlarge<T extends Float64Array | Uint32Array | Uint16Array>(from: T, to: T): T {
  to.set(from)
  return to
}
