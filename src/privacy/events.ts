// Mechanisms as data, apart from the accountants that read them. Meanings of the fields never change (a ledger is read
// for years): new mechanisms get a new `type`.

/** One noised sum: Gaussian noise with sigma = noiseMultiplier x L2 sensitivity, every client present (q = 1). */
export interface GaussianEvent {
  readonly type: 'gaussian'
  /** sigma divided by the L2 sensitivity under the adjacency that the ledger entry names. > 0. */
  readonly noiseMultiplier: number
}

/** A release without noise. Only simulation texts can pay for one: its epsilon is infinite. */
export interface ExactEvent {
  readonly type: 'exact'
}

export type MechanismEvent = GaussianEvent | ExactEvent
