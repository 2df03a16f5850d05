// pretext/client in Node: state in a folder, texts from files, models from the model store.
//
//   const state = await openStateFolder('state', policy)
//   const embedder = await createEmbedder({ model: 'all-MiniLM-L6-v2', device: 'auto' })
//   const client = createFederatedClient({ server, policy, embedder, ...state })
//   for await (const event of client.participate(await readOwnTexts({ path, text: 'text' }))) ...
export { createEmbedder } from '../../embeddings/create.ts'
export * from './index.ts'
export { type OwnTextsFile, readOwnTexts } from './read-own-texts.ts'
export { openStateFolder, type StateFolder } from './state-folder.ts'
