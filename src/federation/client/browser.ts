// pretext/client in a browser: state in IndexedDB, texts as strings, the model's files from the coordinator.
//
//   const state = await openBrowserState(policy)
//   const embedder = createBrowserEmbedder(await fetchEmbedder(server), { server })
//   const client = createFederatedClient({ server, policy, embedder, ...state })
//   for await (const event of client.participate({ texts })) ...

export type { ChargeEntry } from '../../privacy/ledger-entries.ts'
export type { OfferedEmbedder } from '../protocol/embedder-files.ts'
export { type BrowserEmbedderOptions, createBrowserEmbedder, fetchEmbedder } from './browser-embedder.ts'
export { type BrowserState, openBrowserState } from './browser-state.ts'
export * from './index.ts'
