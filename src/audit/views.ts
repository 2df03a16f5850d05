// Whose eyes a noise audit looks with.
export const VIEWS = {
  coordinator: 'the release of trusted aggregation',
  outsiders: 'the release of two servers, with the noise of both',
  leader: 'the sum with the noise of the helper alone',
  helper: 'the release less the noise of the helper, which it knows',
} as const

export type View = keyof typeof VIEWS
