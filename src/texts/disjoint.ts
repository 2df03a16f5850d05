// Consented texts must come from other clients than the private ones (design rule 4.1): otherwise what is reported about
// them tells about private texts. Ids are kept for this check alone and cannot be printed.
import { inspect } from 'node:util'
import { PretextError } from '../errors.ts'
import type { ConsentedTexts, PrivateTexts, SimulationTexts } from './private-texts.ts'

const placeholder = '[ClientIds]'

/** The ids of the clients of one data set; none where each text is its own client. */
export class ClientIds {
  readonly #ids: ReadonlyMap<string, unknown> | undefined

  constructor(ids: ReadonlyMap<string, unknown> | undefined) {
    this.#ids = ids
  }

  /** Whether both share a client; undefined where one of them has no ids. */
  overlaps(other: ClientIds): boolean | undefined {
    if (this.#ids === undefined || other.#ids === undefined) return undefined
    for (const id of this.#ids.keys()) if (other.#ids.has(id)) return true
    return false
  }

  toJSON(): string {
    return placeholder
  }
  toString(): string {
    return placeholder
  }
  [inspect.custom](): string {
    return placeholder
  }
}

interface Side {
  readonly texts: PrivateTexts | ConsentedTexts | SimulationTexts
  readonly clientIds: ClientIds
}

/** Fails where a client is in both; where there are no ids, where the very same text is in both. */
export function requireDisjoint(own: Side, consented: Side): void {
  const byId = own.clientIds.overlaps(consented.clientIds)
  if (byId ?? sharesText(own.texts, consented.texts))
    throw new PretextError(
      `expected the consented ${byId ? 'clients' : 'texts'} to be others than those of the data set, got some that are in both`,
      { code: 'data', hint: 'split the file by client, so that nobody is in both' },
    )
}

function sharesText(own: Side['texts'], consented: Side['texts']): boolean {
  const seen = new Set<string>()
  for (let c = 0; c < consented.clients; c++) for (const text of consented.read(c).texts) seen.add(text)
  for (let c = 0; c < own.clients; c++) for (const text of own.read(c).texts) if (seen.has(text)) return true
  return false
}
