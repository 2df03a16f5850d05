// Types of parse.mjs, for the tests.
export const maxSameOpening: number
export function items(changelog: string): Generator<{ author: string; text: string }>
export function tidy(text: string): string
export function isText(text: string): boolean
export function authorKey(name: string): string
export function isSomebody(name: string): boolean
export function templateKey(text: string, packageName: string, sourceName?: string): string
