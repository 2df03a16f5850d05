// What a client of a federation is made of wherever it runs; node.ts and browser.ts add where things are kept and what
// embeds.

export type { Embedder, EmbedderIdentity } from '../../embeddings/embedder.ts'
export { PretextError } from '../../errors.ts'
export { type Clock, systemClock } from '../clock.ts'
export { type Manifest, manifestHash, PROTOCOL, parseManifest } from '../protocol/manifest.ts'
export { type Problem, type Receipt, type Task, TaskSchema } from '../protocol/messages.ts'
export {
  type ClientEvent,
  createFederatedClient,
  type FederatedClient,
  type FederatedClientOptions,
} from './client.ts'
export { type ClientIdentity, clientIdentity } from './identity.ts'
export type { OwnTexts } from './own-vote.ts'
export { type Check, type ClientPolicy, checksOf, type Spend } from './policy.ts'
export type { ClientLedger, ClientStorage } from './state.ts'
