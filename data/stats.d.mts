// Types of stats.mjs, for the tests.
export function readRows(path: string): Record<string, string>[]
export function markdown(files: readonly string[]): string
