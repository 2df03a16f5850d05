// pretext/client in a browser: state in IndexedDB, texts as strings, the model's files from the coordinator.
//
//   const state = await openBrowserState()
//   const embedder = createBrowserEmbedder(await fetchEmbedder(server), { server })
//   const client = createFederatedClient({ server, policy, embedder, ...state })
//   for await (const event of client.participate({ texts })) ...

export type { OfferedEmbedder } from '../protocol/embedder-files.ts'
export { type BrowserEmbedderOptions, createBrowserEmbedder, fetchEmbedder } from './browser-embedder.ts'
export { type BrowserState, type Charge, openBrowserState } from './browser-state.ts'
export * from './index.ts'
