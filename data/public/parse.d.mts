// Types of parse.mjs, for the tests.
export function wordCount(text: string): number
export function plain(markup: string): string
export function passages(paragraph: string): string[]
export function isPassage(text: string): boolean
export function wordnet(file: string): string[]
export function backticks(file: string): string[]
export function legend(file: string): string[]
export function percentEntries(file: string): string[]
export function htmlParagraphs(file: string): string[]
export function screensaver(file: string): string[]
export function elements(file: string): string[]
