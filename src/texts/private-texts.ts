// The three kinds of text as three types (design rule 4.1). Private texts lie in one byte buffer with offsets, so that a
// million of them is a few typed arrays and not a million objects; and nothing that prints, logs or serialises an object
// can reach them.
import { inspect } from 'node:util'

/** The texts of one client, for the time of one call. */
export interface ClientTexts {
  readonly texts: readonly string[]
  /** Index into `labels` of each text; all 0 where the data set has no labels. */
  readonly labels: readonly number[]
}

/** Columnar storage of texts grouped by client: what every reader fills. */
export interface TextColumns {
  /** UTF-8 of all texts, one after the other, ordered by client. */
  readonly bytes: Uint8Array
  /** Start of each text in `bytes`, and the end of the last: texts + 1 values. */
  readonly textOffsets: Float64Array
  /** First text of each client, and the end of the last: clients + 1 values. */
  readonly clientOffsets: Uint32Array
  /** Label index of each text. */
  readonly labels: Uint16Array
}

// ignoreBOM keeps a leading U+FEFF: what was stored is what is read.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** Texts by client, behind a wall: accepted only by texts, local embedders and histogram. */
class GroupedTexts {
  readonly #columns: TextColumns

  constructor(columns: TextColumns) {
    this.#columns = columns
  }

  /** Number of clients. A private statistic for PrivateTexts unless the owner declared it public. */
  get clients(): number {
    return this.#columns.clientOffsets.length - 1
  }

  /** Number of texts. Private like `clients`. */
  get texts(): number {
    return this.#columns.textOffsets.length - 1
  }

  /** How many texts client `index` has. */
  textsOf(index: number): number {
    const { clientOffsets } = this.#columns
    return (clientOffsets[index + 1] as number) - (clientOffsets[index] as number)
  }

  /** The texts of client `index` at the given positions among its own (all of them by default). */
  read(index: number, positions?: readonly number[]): ClientTexts {
    const { bytes, textOffsets, clientOffsets, labels } = this.#columns
    const first = clientOffsets[index] as number
    const chosen = positions ?? Array.from({ length: this.textsOf(index) }, (_, i) => i)
    return {
      texts: chosen.map((i) =>
        decoder.decode(
          bytes.subarray(textOffsets[first + i] as number, textOffsets[first + i + 1] as number),
        ),
      ),
      labels: chosen.map((i) => labels[first + i] as number),
    }
  }
}

/**
 * Texts that nobody may see. JSON, string conversion and inspection give a placeholder, so that no log, error, event or
 * file can carry them by accident; `read` is for `texts`, local embedders and `histogram` alone, which the import rules
 * of the project hold.
 */
export class PrivateTexts extends GroupedTexts {
  readonly kind = 'private'
  toJSON(): string {
    return '[PrivateTexts]'
  }
  override toString(): string {
    return '[PrivateTexts]'
  }
  [inspect.custom](): string {
    return '[PrivateTexts]'
  }
}

/** Texts whose owners agreed to reporting: no choice, stop or default inside a run may depend on them. */
export class ConsentedTexts extends GroupedTexts {
  readonly kind = 'consented'
}

/** Texts that their owner declared free for experiments (`data.simulation: true`). */
export class SimulationTexts extends GroupedTexts {
  readonly kind = 'simulation'
}
