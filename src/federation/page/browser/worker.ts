// The part of the page that takes part: it runs beside the page, so that embedding does not hold up the screen.
import {
  type BrowserState,
  createBrowserEmbedder,
  createFederatedClient,
  fetchEmbedder,
  openBrowserState,
  PretextError,
  parseManifest,
  type Receipt,
  systemClock,
  type Task,
  TaskSchema,
} from '../../client/browser.ts'
import { connect, systemJitter } from '../../client/connection.ts'
import type { FromWorker, Kept, ToWorker } from './messages.ts'

const tell = (message: FromWorker) => postMessage(message)
let stop: AbortController | undefined

addEventListener('message', ({ data }: MessageEvent<ToWorker>) => {
  const work =
    data.type === 'look'
      ? look(data.server)
      : data.type === 'start'
        ? takePart(data)
        : data.type === 'forget'
          ? forget()
          : stop?.abort()
  Promise.resolve(work).catch((error: unknown) => {
    if (stop?.signal.aborted === true) return tell({ type: 'stopped' })
    // Other errors may quote what they were given.
    const known = error instanceof PretextError ? error : undefined
    tell({
      type: 'failed',
      message: known?.message ?? 'something went wrong that the page did not foresee',
      hint: known?.hint ?? 'load the page again; a vote that was begun goes on as it is',
    })
  })
})

/** What one would take part in, and what was kept; sends nothing of one's own. */
async function look(server: string): Promise<void> {
  const connection = connect({ server, fetch, clock: systemClock, jitter: systemJitter, patienceMs: 0 })
  const answer = await connection.call({ method: 'GET', path: '/v1/task' })
  const task = answer.ok ? taskIn(answer.bytes) : undefined
  if (task === undefined) {
    throw new PretextError('the coordinator does not answer as expected', {
      code: 'federation',
      hint: 'check your network, and load the page again',
    })
  }
  const open = task.round?.manifest
  const manifest = open === undefined ? undefined : parseManifest(await connection.blob(open), open)
  const state = await openBrowserState()
  try {
    tell({ type: 'looked', task, manifest, kept: await keptIn(state, task.task) })
  } finally {
    state.close()
  }
}

function taskIn(bytes: Uint8Array): Task | undefined {
  try {
    return TaskSchema.parse(JSON.parse(new TextDecoder().decode(bytes)))
  } catch {
    return undefined
  }
}

async function takePart(wanted: Extract<ToWorker, { type: 'start' }>): Promise<void> {
  const { server, policy, own, token, device } = wanted
  stop = new AbortController()
  const { signal } = stop
  const state = await openBrowserState(policy)
  let known: string | undefined
  try {
    const embedder = createBrowserEmbedder(await fetchEmbedder(server), {
      server,
      device,
      onProgress: (loaded, total) => tell({ type: 'model', loaded, total }),
    })
    const client = createFederatedClient({
      server,
      policy,
      embedder,
      storage: state.storage,
      ledger: state.ledger,
      onRetry: (why, seconds) => tell({ type: 'retry', why, seconds }),
      signal,
    })
    const { task } = await client.task()
    known = task
    if (!(await client.enrolled())) {
      if (token === undefined) {
        throw new PretextError('this browser is not enrolled yet, and no token was given', {
          code: 'usage',
          hint: 'ask the person who invited you for a one-time token',
        })
      }
      await client.enrol(token)
    }
    for await (const event of client.participate(own)) {
      tell({ type: 'event', event })
      if (event.type === 'voted') tell({ type: 'kept', kept: await keptIn(state, task) })
    }
    tell({ type: 'stopped' })
  } finally {
    if (known !== undefined) tell({ type: 'kept', kept: await keptIn(state, known) })
    state.close()
  }
}

async function forget(): Promise<void> {
  const state = await openBrowserState()
  await state.forget()
  tell({ type: 'forgotten' })
}

async function keptIn(state: BrowserState, task: string): Promise<Kept> {
  const { storage } = state
  const receipts: Receipt[] = []
  let unanswered = 0
  for (const name of await state.names()) {
    if (!name.startsWith('vote-')) continue
    const { receipt } = JSON.parse((await storage.get(name)) ?? '{}') as { receipt?: Receipt }
    if (receipt === undefined) unanswered++
    else receipts.push(receipt)
  }
  return {
    enrolled: (await storage.get(`enrolled-${task}`)) !== undefined,
    charges: await state.charges(),
    receipts: receipts.sort((a, b) => a.received - b.received),
    unanswered,
  }
}
