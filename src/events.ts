// What a run tells the outside while it works. Library code emits these; only the CLI prints them. Nothing in an event
// is derived from private text, except what was released with noise (design rule: no un-noised statistic leaves).

export type StageName =
  | 'download'
  | 'load'
  | 'embed'
  | 'initial'
  | 'vote'
  | 'variation'
  | 'lookahead'
  | 'expansion'
  | 'training'
  | 'evaluation'
  | 'write'
  | 'audit'

export type PretextEvent =
  /** A long stage began. `total` is absent where it is not known, or where it would tell something private. */
  | {
      readonly type: 'stage'
      readonly stage: StageName
      readonly label: string
      readonly total?: number
      readonly unit?: string
    }
  /** `done` counts from 0 to `total`. */
  | {
      readonly type: 'progress'
      readonly stage: StageName
      readonly done: number
      readonly total?: number
      /** More than the counts say: a loss, a speed, the time that is left. */
      readonly detail?: string
    }
  | { readonly type: 'stage-end'; readonly stage: StageName; readonly label: string }
  /** A round was released and finished; `epsilon` is cumulative at the run's delta. */
  | {
      readonly type: 'round'
      readonly round: number
      readonly rounds: number
      readonly epsilon: number
      readonly survivors: number
      readonly note?: string
    }
  | { readonly type: 'note'; readonly message: string }
  | { readonly type: 'warning'; readonly message: string }
  | { readonly type: 'artefact'; readonly kind: string; readonly path: string }

export type OnEvent = (event: PretextEvent) => void

export const ignoreEvents: OnEvent = () => {}
