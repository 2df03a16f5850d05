// A coordinator with the participant's page on a port of this machine, for tests: MiniLM or hashing, candidates from
// Debian's descriptions, one round after the other.
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Embedder } from '../../src/embeddings/embedder.ts'
import { coordinatorApp } from '../../src/federation/coordinator/app.ts'
import type { Coordinator } from '../../src/federation/coordinator/coordinator.ts'
import { listen } from '../../src/federation/coordinator/server.ts'
import { joinPage, type PageEmbedder } from '../../src/federation/page/serve-page.ts'
import { embeddedDatabase } from '../../src/federation/stores/embedded.ts'
import { sqlStore } from '../../src/federation/stores/sql-store.ts'
import { exampleCoordinator } from './example.ts'

export async function pageCoordinator(
  folder: string,
  options: {
    readonly assets: string
    readonly embedder: PageEmbedder
    readonly change?: Parameters<typeof exampleCoordinator>[1]
  },
) {
  const store = await sqlStore(await embeddedDatabase(join(folder, 'store.db')))
  const coordinator: Coordinator = await exampleCoordinator(store, { pollSeconds: 1, ...options.change })
  const { assets, embedder } = options
  const app = coordinatorApp(coordinator).route('/join', joinPage({ assets, embedder: async () => embedder }))
  const listening = await listen(app, coordinator, { host: '127.0.0.1', port: 0 })
  return {
    coordinator,
    store,
    url: listening.url,
    async close() {
      await listening.close()
      await store.close()
    },
  }
}

export interface DebianRow {
  readonly client: string
  readonly text: string
}

/** Rows of data/debian, in the order of the file. */
export async function debianRows(name: 'clients' | 'heldout' = 'clients'): Promise<DebianRow[]> {
  const file = resolve(import.meta.dirname, `../../data/debian/${name}.jsonl`)
  return (await readFile(file, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
}

/** What /join offers for an embedder of this process. */
export function offeredBy(embedder: Embedder, files: PageEmbedder['files'], maxTokens: number): PageEmbedder {
  return { identity: embedder.identity, maxTokens, files }
}
