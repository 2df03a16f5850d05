// What a coordinator must not forget, behind one interface: who may take part, which rounds there are, and every vote that
// was acknowledged. An answer is sent only after the write behind it is durable. Two databases implement it and pass one
// contract suite: an embedded one, and PostgreSQL for several replicas.

export type RoundPhase = 'open' | 'closed' | 'released' | 'refused'

/** paused: nobody may vote for now; draining: the open round is the last one; finished: all rounds are over. */
export type Control = 'running' | 'paused' | 'draining' | 'finished'

export interface StoredRound {
  /** sha256 of the manifest: the round's name. */
  readonly manifest: string
  /** The run that opened it, as charged in the ledger. */
  readonly run: string
  readonly number: number
  readonly attempt: number
  readonly state: RoundPhase
  readonly opened: number
  readonly deadline: number
  readonly seats: number | null
  /** sha256 of the released file; its bytes are a blob. */
  readonly release: string | null
}

export interface SignedUse {
  readonly client: string
  readonly nonce: string
  /** By the coordinator's clock. */
  readonly received: number
}

export interface UploadedVote extends SignedUse {
  readonly manifest: string
  readonly body: Uint8Array
  readonly sha256: string
}

export type VoteOutcome =
  /** Counted now, or before by an upload of the same bytes. */
  | { readonly type: 'counted' | 'again'; readonly sha256: string; readonly received: number }
  | { readonly type: 'other-vote' | 'round-closed' | 'no-seat' | 'replayed' }

/** What the verification of some reports of a round came to (two-server mode). The share is secret, as a vote is. */
export interface VerifiedJob {
  readonly number: number
  readonly share: Uint8Array
  readonly accepted: number
  readonly checksum: Uint8Array
}

export interface Store {
  /** For people: what kind of database this is. */
  readonly kind: 'embedded' | 'postgres'
  /** The task's name for ever: 32 hex digits, made when the store is. */
  task(): Promise<string>
  /** Adds one-time enrolment tokens, by their sha256. */
  addTokens(hashes: readonly string[], at: number): Promise<void>
  /** Takes a token for this key. The same token with the same key is the same enrolment. */
  enrol(entry: {
    readonly tokenHash: string
    readonly client: string
    readonly publicKey: Uint8Array
    readonly at: number
  }): Promise<'enrolled' | 'unknown-token'>
  /** Keys of those among these clients that are enrolled. */
  publicKeys(clients: readonly string[]): Promise<ReadonlyMap<string, Uint8Array>>
  /** False where this client used the nonce before. */
  useNonce(use: SignedUse): Promise<boolean>
  /** Forgets nonces received before `time`: their signatures have run out. */
  forgetNonces(time: number): Promise<void>
  putBlob(sha256: string, bytes: Uint8Array): Promise<void>
  blob(sha256: string): Promise<Uint8Array | undefined>
  /** Opens a round; where the run already has one of this number and attempt, that one stays as it is. */
  openRound(round: Omit<StoredRound, 'state' | 'release'>): Promise<StoredRound>
  round(manifest: string): Promise<StoredRound | undefined>
  /** Rounds of a run in order, or the latest of all runs. */
  rounds(run?: string): Promise<StoredRound[]>
  takeSeat(manifest: string, client: string, at: number): Promise<'seated' | 'no-seat-left' | 'round-closed'>
  /** Counts votes, all or none of them durable when it returns. At most one for each client and round. */
  castVotes(votes: readonly UploadedVote[]): Promise<VoteOutcome[]>
  /** From here on no vote is counted; does nothing to a round that is not open. */
  closeRound(manifest: string): Promise<void>
  /** Ends a closed round. Ended rounds stay as they are. */
  endRound(manifest: string, state: 'released' | 'refused', release: string | null): Promise<void>
  /** How many voted. Private: for the minimum cohort, and nowhere else unless declared public. */
  voters(manifest: string): Promise<number>
  /** The counted uploads of a round, in an order that tells nothing of their times. */
  votes(manifest: string): AsyncGenerator<Uint8Array>
  /** The receipt of a client's counted vote. */
  countedVote(
    manifest: string,
    client: string,
  ): Promise<{ readonly sha256: string; readonly received: number } | undefined>
  /** Keeps what came of a job; one that is there already stays as it is. */
  putJob(manifest: string, job: VerifiedJob): Promise<void>
  /** The jobs of a round that are done, by number. */
  jobs(manifest: string): Promise<VerifiedJob[]>
  /** Removes the votes and jobs of an ended round; who voted, and the receipts, stay. */
  forgetVotes(manifest: string): Promise<void>
  control(): Promise<Control>
  /** Once finished, a store stays so until it is reopened: who resumes late must not leave clients waiting for ever. */
  setControl(control: Control): Promise<void>
  /** A finished store runs again, for another run. */
  reopen(): Promise<void>
  close(): Promise<void>
}
