// How an aggregator says that a report does not count. Everything else that goes wrong is a RangeError: a caller's mistake.
import { PretextError } from '../errors.ts'

/** `malformed`: bytes that no honest client sends. `proof`: the vote is not proven valid. `joint-randomness`: the client's
 * public share does not fit its input shares. */
export type RejectionReason = 'malformed' | 'proof' | 'joint-randomness'

export class RejectedReport extends PretextError {
  readonly reason: RejectionReason

  constructor(reason: RejectionReason, message: string) {
    super(message, {
      code: 'data',
      hint: 'the report must not be counted; its client may be faulty or dishonest',
    })
    this.name = 'RejectedReport'
    this.reason = reason
  }
}

export function rejected(reason: RejectionReason, message: string): RejectedReport {
  return new RejectedReport(reason, message)
}
