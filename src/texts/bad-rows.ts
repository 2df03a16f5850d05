// Bad rows are told all at once, by place and without content: the first ten, and how many there are.
import { PretextError } from '../errors.ts'

const TOLD = 10

export interface BadRows {
  add(place: string, problem: string): void
  readonly count: number
  /** The error for all of them; undefined where there are none. */
  error(): PretextError | undefined
}

export function collectBadRows(): BadRows {
  const told: string[] = []
  let count = 0
  return {
    add(place, problem) {
      count++
      if (told.length < TOLD) told.push(`${place}: ${problem}`)
    },
    get count() {
      return count
    },
    error() {
      if (count === 0) return undefined
      // How many there are in all is the owner's to know (OwnerCounts), and not in an error that goes into logs.
      const heading = count > TOLD ? `more than ${TOLD} bad rows; the first ${TOLD}:` : `${count} bad rows:`
      const message = count === 1 ? (told[0] as string) : [heading, ...told].join('\n  ')
      return new PretextError(message, {
        code: 'data',
        hint: 'correct these rows, check the column names and the format, or leave bad rows out with onBadRow: skip',
      })
    },
  }
}
