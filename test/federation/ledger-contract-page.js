// The contract of a client's ledger on a browser's database; built for a page by client-ledger.test.ts.
import { openBrowserState } from '../../src/federation/client/browser-state.ts'
import { CONTRACT, POLICY } from './ledger-contract.ts'

const request = (asked) =>
  new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result)
    asked.onerror = () => reject(asked.error)
  })

const open = async (name, policy) => {
  const state = await openBrowserState(policy, { name })
  return {
    ledger: state.ledger,
    files: state.ledgerFiles,
    async spoil(change) {
      const database = await request(indexedDB.open(name))
      const ledger = database.transaction('ledger', 'readwrite').objectStore('ledger')
      await request(ledger.put(change(await request(ledger.get(1))), 1))
      database.close()
    },
    close: async () => state.close(),
  }
}

/** The database of version 1, with two charges. */
async function oldState(name) {
  const asked = indexedDB.open(name, 1)
  asked.onupgradeneeded = () => {
    asked.result.createObjectStore('values')
    asked.result.createObjectStore('charges', { keyPath: ['task', 'release'] })
  }
  const database = await request(asked)
  const transaction = database.transaction(['values', 'charges'], 'readwrite')
  transaction.objectStore('values').put('kept', 'vote-1')
  const charges = transaction.objectStore('charges')
  const charge = (release, at, noiseMultiplier) =>
    charges.put({ task: 't', release, at, mechanism: { type: 'gaussian', noiseMultiplier } })
  charge('a', 2000, 20)
  charge('b', 1000, 10)
  await new Promise((resolve) => {
    transaction.oncomplete = resolve
  })
  database.close()
}

Object.assign(globalThis, {
  contract: (name) => CONTRACT[name].run(open),
  async charged(name) {
    const state = await openBrowserState(POLICY, { name })
    await state.ledger.charge('t', 'r/round-1', { type: 'gaussian', noiseMultiplier: 8 })
    await state.ledger.charge('t', 'r/round-2', { type: 'gaussian', noiseMultiplier: 4 }, 'operators')
    return state.ledgerFiles()
  },
  async old() {
    await oldState('old')
    const looked = await openBrowserState(undefined, { name: 'old' })
    const refused = await looked.ledger
      .charge('t', 'c', { type: 'gaussian', noiseMultiplier: 8 })
      .catch((error) => error.message)
    const found = [await looked.storage.get('vote-1'), await looked.ledger.charged(), refused]
    looked.close()
    const state = await openBrowserState(POLICY, { name: 'old' })
    await state.ledger.charge('t', 'a', { type: 'gaussian', noiseMultiplier: 20 })
    await state.ledger.charge('t', 'c', { type: 'gaussian', noiseMultiplier: 8 })
    return [...found, (await state.charges()).map(({ release, time }) => `${release} ${time.slice(0, 4)}`)]
  },
})
