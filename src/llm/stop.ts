// Stop strings: where a text ends because one of them begins.

/** Position of the first stop string at or after `from`, or -1. An empty stop string never matches. */
export function firstStop(text: string, stop: readonly string[], from = 0): number {
  let first = -1
  for (const string of stop) {
    if (string === '') continue
    const at = text.indexOf(string, from)
    if (at !== -1 && (first === -1 || at < first)) first = at
  }
  return first
}

/** The text before the first stop string, and whether there was one. */
export function cutAtStop(
  text: string,
  stop: readonly string[],
): { readonly text: string; readonly stopped: boolean } {
  const at = firstStop(text, stop)
  return at === -1 ? { text, stopped: false } : { text: text.slice(0, at), stopped: true }
}

export interface GrowingText {
  /** Adds a piece; true once a stop string is in the text, after which no more is needed. */
  add(piece: string): boolean
  /** The text so far, ended before the first stop string. */
  readonly text: string
}

/** Looks for stop strings only where the newest piece can have completed one. */
export function growingText(stop: readonly string[]): GrowingText {
  const longest = Math.max(0, ...stop.map((string) => string.length))
  let text = ''
  return {
    add(piece) {
      const from = Math.max(0, text.length - longest + 1)
      text += piece
      const at = firstStop(text, stop, from)
      if (at !== -1) text = text.slice(0, at)
      return at !== -1
    },
    get text() {
      return text
    },
  }
}
