// The participant's page: a form, and what the worker tells. Everything that was read from a file stays in variables here.
import { epsilonOf } from '../../../privacy/accountant.ts'
import type { ClientEvent, Task } from '../../client/browser.ts'
import type { FromWorker, Kept, ToWorker } from './messages.ts'
import { type ReadFile, readFile } from './read-file.ts'
import { bytesLeft, leavingOf, meaningOf, number, termsOf } from './words.ts'

const server = location.href.replace(/\/join\/?([?#].*)?$/, '')
const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })
const send = (message: ToWorker) => worker.postMessage(message)

let task: Task | undefined
let kept: Kept | undefined
let picked: ReadFile | undefined

const the = <T extends HTMLElement = HTMLElement>(id: string): T => document.getElementById(id) as T
const input = (id: string) => the<HTMLInputElement>(id)
const select = (id: string) => the<HTMLSelectElement>(id)
const show = (id: string, visible: boolean) => {
  the(id).hidden = !visible
}
const say = (id: string, text: string) => {
  the(id).textContent = text
}
function element(name: string, text: string, className?: string): HTMLElement {
  const made = document.createElement(name)
  made.textContent = text
  if (className !== undefined) made.className = className
  return made
}

// A token in the fragment of an invitation's address never goes over the network.
const invited = new URLSearchParams(location.hash.slice(1)).get('token')
if (invited !== null) {
  input('token').value = invited
  history.replaceState(null, '', location.pathname)
}
if (!('gpu' in navigator)) the<HTMLOptionElement>('webgpu').disabled = true

worker.addEventListener('message', ({ data }: MessageEvent<FromWorker>) => {
  switch (data.type) {
    case 'looked':
      return looked(data)
    case 'event':
      return happened(data.event)
    case 'kept':
      return showKept(data.kept)
    case 'model':
      show('bar', data.loaded < data.total)
      the<HTMLProgressElement>('bar').value = data.loaded / data.total
      return say(
        'now',
        `Loading the model: ${Math.round(data.loaded / 1e6)} of ${Math.round(data.total / 1e6)} MB`,
      )
    case 'retry':
      return say('now', `No answer (${data.why}); trying again in ${Math.ceil(data.seconds)} s`)
    case 'failed':
      return failed(data.message, data.hint)
    case 'stopped':
      say('now', `${the('now').dataset.last ?? 'Stopped.'} Nothing more leaves this device.`)
      return running(false)
    case 'forgotten':
      location.reload()
  }
})
worker.addEventListener('error', () => failed('the page could not start its worker', 'load the page again'))
send({ type: 'look', server })

function looked({ task: found, manifest, kept: own }: Extract<FromWorker, { type: 'looked' }>): void {
  task = found
  document.title = `Take part: ${found.name}`
  show('loading', false)
  show('about', true)
  the('terms').replaceChildren(
    ...termsOf(found, manifest).flatMap(([term, meaning]) => [element('dt', term), element('dd', meaning)]),
  )
  say('who', `Who sees a single vote: ${found.whoSeesAVote}.`)
  the('leaves').replaceChildren(...leavingOf(manifest).map((line) => element('li', line)))
  say(
    'consent-text',
    found.aggregation.mode === 'trusted'
      ? 'I agree that whoever runs the coordinator sees each of my votes (not my texts), and that these numbers leave this device.'
      : 'I agree that these numbers leave this device.',
  )
  input('delta').value = String(found.privacy.delta)
  explain()
  showKept(own)
}

function explain(): void {
  if (task === undefined) return
  say('meaning', meaningOf(input('epsilon').valueAsNumber, input('delta').valueAsNumber, task.privacy))
}
for (const id of ['epsilon', 'delta']) the(id).addEventListener('input', explain)

the('file').addEventListener('change', async () => {
  picked = undefined
  const file = input('file').files?.[0]
  if (file === undefined) return say('read', '')
  try {
    picked = await readFile(file)
    const { columns } = picked
    const options = () => columns.map((name) => new Option(name, name))
    select('column').replaceChildren(...options())
    select('label').replaceChildren(...options())
    if (columns.includes('text')) select('column').value = 'text'
    if (columns.includes('label')) select('label').value = 'label'
    show('columns', columns.length > 0)
    show('label-field', task?.labels != null)
    mark('file', undefined)
    count()
  } catch (error) {
    show('columns', false)
    const { message, hint } = error as { message: string; hint?: string }
    say('read', '')
    mark('file', [message, hint].filter(Boolean).join('; '))
  }
})
for (const id of ['column', 'label']) the(id).addEventListener('change', count)

function ownTexts() {
  if (picked === undefined) return undefined
  const column = picked.columns.length === 0 ? undefined : select('column').value
  return picked.texts(column, task?.labels == null ? undefined : select('label').value)
}

function count(): void {
  const found = ownTexts()
  if (found === undefined) return
  const { own, skipped } = found
  const rows =
    skipped === 0 ? '' : `; ${skipped} ${skipped === 1 ? 'row has' : 'rows have'} no text and are left out`
  say('read', `${own.texts.length} ${own.texts.length === 1 ? 'text' : 'texts'} read on this device${rows}.`)
}

/** Marks a field as wrong, or as right; what is wrong is said at the top of the page. */
function mark(id: string, wrong: string | undefined): string | undefined {
  if (wrong === undefined) the(id).removeAttribute('aria-invalid')
  else the(id).setAttribute('aria-invalid', 'true')
  problem(wrong)
  return wrong
}

function problem(text: string | undefined): void {
  say('problem', text ?? '')
  show('problem', text !== undefined)
}

the('form').addEventListener('submit', (event) => {
  event.preventDefault()
  problem(undefined)
  const found = ownTexts()
  const epsilon = input('epsilon').valueAsNumber
  const delta = input('delta').valueAsNumber
  const cohort = input('cohort').valueAsNumber
  const token = input('token').value.trim()
  const wrong: [string, boolean, string][] = [
    ['file', (found?.own.texts.length ?? 0) === 0, 'Choose a file with at least one text.'],
    [
      'file',
      task?.labels != null && picked?.columns.length === 0,
      'Each text needs a label in this task: choose a .jsonl, .csv or .tsv file with a column of labels.',
    ],
    ['epsilon', !(epsilon > 0), 'Say how much your texts may spend: a number above 0.'],
    [
      'cohort',
      !(Number.isInteger(cohort) && cohort >= 2),
      'Say how many people a round must have: 2 or more.',
    ],
    ['token', kept?.enrolled !== true && token === '', 'Enter the one-time token that you were given.'],
    ['delta', !(delta > 0 && delta < 1), 'Delta is a number between 0 and 1, such as 0.00001.'],
    ['consent', !input('consent').checked, 'Tick the box to say that you agree.'],
  ]
  let first: string | undefined
  for (const [id] of wrong) the(id).removeAttribute('aria-invalid')
  for (const [id, bad] of wrong) {
    if (!bad) continue
    first ??= id
    the(id).setAttribute('aria-invalid', 'true')
  }
  if (first !== undefined || task === undefined || found === undefined) {
    problem(
      wrong.flatMap(([, bad, what]) => (bad ? [what] : [])).join(' ') ||
        'The coordinator has not answered yet.',
    )
    if (first !== undefined) {
      the(first).closest('details')?.setAttribute('open', '')
      the(first).focus()
    }
    return
  }
  // The record of what was spent must not be cleared away by the browser.
  void navigator.storage?.persist?.()
  running(true)
  show('progress', true)
  delete the('now').dataset.last
  say('now', 'Beginning…')
  send({
    type: 'start',
    server,
    own: found.own,
    token: token === '' ? undefined : token,
    device: select('device').value === 'webgpu' ? 'webgpu' : 'wasm',
    policy: {
      epsilon,
      delta,
      minimumCohort: cohort,
      adjacency: task.privacy.adjacency,
      aggregation: [task.aggregation.mode],
    },
  })
})

the('stop').addEventListener('click', () => {
  the<HTMLButtonElement>('stop').disabled = true
  delete the('now').dataset.last
  say('now', 'Stopping…')
  send({ type: 'stop' })
})
the('forget').addEventListener('click', () => {
  show('sure', true)
  the('forget-no').focus()
})
the('forget-no').addEventListener('click', () => {
  show('sure', false)
  the('forget').focus()
})
the('forget-yes').addEventListener('click', () => send({ type: 'forget' }))

function running(is: boolean): void {
  the<HTMLFieldSetElement>('fields').disabled = is
  the<HTMLButtonElement>('start').disabled = is
  the<HTMLButtonElement>('stop').disabled = false
  the<HTMLButtonElement>('forget').disabled = is
  show('stop', is)
  show('bar', false)
}

function failed(message: string, hint: string | undefined): void {
  problem([message, hint].filter(Boolean).join('; '))
  show('loading', false)
  say('now', 'Stopped. Nothing more leaves this device.')
  running(false)
  the('problem').scrollIntoView({ block: 'center' })
}

function happened(event: ClientEvent) {
  const last = (text: string) => {
    the('now').dataset.last = text
    say('now', text)
  }
  switch (event.type) {
    case 'waiting':
      return say(
        'now',
        event.state === 'paused'
          ? 'Paused by the operator. Keep this page open.'
          : 'Waiting for the next round. Keep this page open.',
      )
    case 'round':
      say(
        'now',
        `Round ${event.manifest.round} of ${event.manifest.rounds}: comparing your texts with the candidates…`,
      )
      return addRound(event)
    case 'refused':
      addRound(event)
      return last(`Round ${event.manifest.round} is beyond your limits. Nothing of it left this device.`)
    case 'voted': {
      const { manifest, epsilon, bytes, receipt } = event
      outcome(
        manifest.round,
        'yes',
        `Counted at ${new Date(receipt.received).toLocaleTimeString()}; ${bytesLeft(bytes)}. Spent so far: epsilon ${number(epsilon)}.`,
      )
      return last(`Round ${manifest.round} of ${manifest.rounds} is done.`)
    }
    case 'missed':
      return outcome(event.manifest.round, 'no', `Not counted: ${event.problem.title}.`)
    case 'finished':
      return last(`All rounds are over. Your texts have spent epsilon ${number(event.epsilon)}. Thank you.`)
  }
}

function addRound({ manifest, checks }: Extract<ClientEvent, { type: 'round' | 'refused' }>): void {
  const item = document.createElement('li')
  item.id = `round-${manifest.round}`
  const list = document.createElement('ul')
  for (const { what, objection } of checks) {
    const line = document.createElement('li')
    line.append(
      objection === undefined ? element('span', '✓ ', 'yes') : element('span', '✗ ', 'no'),
      objection ?? what,
    )
    list.append(line)
  }
  const held = document.createElement('details')
  held.open = checks.some(({ objection }) => objection !== undefined)
  held.append(element('summary', held.open ? 'Beyond your limits' : 'Within your limits'), list)
  item.append(element('h3', `Round ${manifest.round} of ${manifest.rounds}`), held)
  document.getElementById(item.id)?.remove()
  the('rounds').append(item)
}

function outcome(round: number, className: 'yes' | 'no', text: string): void {
  const item = document.getElementById(`round-${round}`)
  if (item !== null) item.append(element('p', text, className))
  else the('rounds').append(element('li', `Round ${round}: ${text}`, className))
}

function showKept(found: Kept): void {
  kept = found
  const { enrolled, charges, receipts, unanswered } = found
  const something = enrolled || charges.length > 0 || receipts.length > 0
  show('token-field', !enrolled)
  show('forget', something)
  show('receipts-scroll', receipts.length > 0)
  const spent = epsilonOf(
    charges.map(({ mechanism }) => mechanism),
    task?.privacy.delta ?? 1e-6,
  )
  const votes = `${charges.length} ${charges.length === 1 ? 'round' : 'rounds'}`
  const open =
    unanswered === 0
      ? ''
      : `; ${unanswered} made and not yet answered, to be sent as it is when you take part again`
  say(
    'kept-words',
    something
      ? `A key that says which votes are yours, your receipts, and the record of what your texts have spent: epsilon ${number(spent)} in ${votes}${open}.`
      : 'Nothing yet.',
  )
  the('receipts').replaceChildren(
    ...receipts.map(({ received, manifest, sha256 }) => {
      const row = document.createElement('tr')
      const hash = document.createElement('td')
      hash.append(element('code', sha256))
      const name = document.createElement('td')
      name.append(element('code', manifest.slice(0, 8), 'name'))
      row.append(element('td', new Date(received).toLocaleString()), name, hash)
      return row
    }),
  )
}
