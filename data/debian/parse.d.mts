// Types of parse.mjs, for the tests.
export const maxSameOpening: number
export function stanzas(control: string): Generator<Record<string, string>>
export function paragraphs(description: string): string[]
export function isText(text: string): boolean
export function isBoilerplate(text: string): boolean
export function templateKey(text: string, packageName: string, sourceName?: string): string
export function maintainerKey(field: string): string
export function peopleIn(field: string): string[]
export function namesSomebody(text: string, names: ReadonlySet<string>): boolean
export function label(section: string): string
