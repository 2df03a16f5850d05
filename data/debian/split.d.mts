// Types of split.mjs, for the tests.
export interface Row {
  client: string
  label: string
  text: string
}
export interface Client {
  client: string
  heldOut: boolean
  rows: Row[]
}
export interface Collected {
  maintainer: string
  label: string
  text: string
}
export function collect(packagesText: string, translationText: string): Collected[]
export function splitClients(
  rows: readonly Collected[],
  seed: string,
): { training: Client[]; heldOut: Client[] }
export function extract(clients: readonly Client[], seed: string, count: number, maxTexts: number): Row[]
