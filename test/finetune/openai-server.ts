// A local server that speaks the part of the OpenAI API that fine-tuning uses: files, fine_tuning.jobs and their events.
// It keeps its objects while it runs, and can be told to misbehave.
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Fault, json } from '../llm/server.ts'

interface StoredFile {
  readonly id: string
  readonly filename: string
  readonly purpose: string
  readonly content: string
}

interface StoredJob {
  readonly id: string
  readonly body: Record<string, unknown>
  polls: number
}

export interface OpenAiServer {
  readonly baseUrl: string
  readonly files: StoredFile[]
  readonly jobs: StoredJob[]
  /** "POST /files" and the like, in order. */
  readonly seen: string[]
  readonly keys: Set<string | undefined>
  /** Met by the next requests to this method and path, one each; the request is not served. */
  readonly faults: Map<string, Fault[]>
  /** The request is served, and the answer is lost on its way. */
  readonly lost: Set<string>
  /** How many polls a job takes; a job never ends with Infinity. */
  polls: number
  outcome: 'succeeded' | 'failed' | 'invalid' | 'cancelled'
  close(): Promise<void>
}

export async function startOpenAiServer(): Promise<OpenAiServer> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const url = new URL(request.url ?? '', 'http://localhost')
    const path = url.pathname.replace('/v1', '')
    const name = `${request.method} ${path.replace(/ftjob-\d+/, ':id')}`
    state.seen.push(name)
    state.keys.add(request.headers.authorization)
    const fault = state.faults.get(name)?.shift()
    if (fault !== undefined) return fault(request, response)
    const answer = await serve(name, path, url, request.headers['content-type'] ?? '', Buffer.concat(chunks))
    if (state.lost.delete(name)) return void request.socket.destroy()
    if (answer === undefined) return notFound(response)
    json(response, 200, answer)
  })

  async function serve(name: string, path: string, url: URL, type: string, body: Buffer): Promise<unknown> {
    switch (name) {
      case 'POST /files': {
        const form = await new Response(new Uint8Array(body), {
          headers: { 'content-type': type },
        }).formData()
        const file = form.get('file') as File
        const stored = {
          id: `file-${state.files.length + 1}`,
          filename: file.name,
          purpose: String(form.get('purpose')),
          content: await file.text(),
        }
        state.files.push(stored)
        return fileObject(stored)
      }
      case 'GET /files':
        return page(state.files.map(fileObject), url)
      case 'POST /fine_tuning/jobs': {
        const job = { id: `ftjob-${state.jobs.length + 1}`, body: JSON.parse(body.toString()), polls: 0 }
        state.jobs.push(job)
        return jobObject(job)
      }
      case 'GET /fine_tuning/jobs':
        return page(state.jobs.map(jobObject), url)
      case 'GET /fine_tuning/jobs/:id': {
        const job = state.jobs.find((each) => path.endsWith(each.id))
        if (job === undefined) return undefined
        job.polls++
        return jobObject(job)
      }
      case 'GET /fine_tuning/jobs/:id/events': {
        const job = state.jobs.find((each) => path.includes(each.id))
        return job && { object: 'list', data: events(job), has_more: false }
      }
      default:
        return undefined
    }
  }

  const fileObject = ({ id, filename, purpose, content }: StoredFile) => ({
    id,
    filename,
    purpose,
    bytes: content.length,
    object: 'file',
    created_at: 0,
    status: 'processed',
  })

  const jobObject = ({ id, body, polls }: StoredJob) => {
    const ended = polls >= state.polls
    const outcome = state.outcome === 'invalid' ? 'failed' : state.outcome
    const status = ended ? outcome : polls === 0 ? 'validating_files' : 'running'
    const error =
      status !== 'failed'
        ? {}
        : state.outcome === 'invalid'
          ? {
              code: 'invalid_training_file',
              param: 'training_file',
              message: 'The job failed due to an invalid training file. Expected at least 10 examples.',
            }
          : { code: 'server_error', param: null, message: 'The job failed due to an internal error.' }
    return {
      ...body,
      id,
      object: 'fine_tuning.job',
      created_at: 0,
      error,
      status,
      fine_tuned_model: status === 'succeeded' ? `ft:${String(body.model)}:org::abc123` : null,
      trained_tokens: status === 'succeeded' ? 4321 : null,
    }
  }

  const events = (job: StoredJob) =>
    Array.from({ length: job.polls }, (_, i) => ({
      id: `ftevent-${i}`,
      object: 'fine_tuning.job.event',
      created_at: i,
      level: 'info',
      ...(i === 0
        ? { type: 'message', message: 'Validating training file', data: {} }
        : {
            type: 'metrics',
            message: `Step ${i}/${state.polls}: training loss=1.5`,
            data: { step: i, total_steps: state.polls, train_loss: 1.5 },
          }),
    })).reverse()

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const state: OpenAiServer = {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    files: [],
    jobs: [],
    seen: [],
    keys: new Set(),
    faults: new Map(),
    lost: new Set(),
    polls: 3,
    outcome: 'succeeded',
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return state
}

/** Newest first, two in a page, so that every search turns pages. */
function page<T extends { readonly id: string }>(oldestFirst: readonly T[], url: URL) {
  const all = [...oldestFirst].reverse()
  const start = all.findIndex((each) => each.id === url.searchParams.get('after')) + 1
  return { object: 'list', data: all.slice(start, start + 2), has_more: all.length > start + 2 }
}

function notFound(response: ServerResponse): void {
  json(response, 404, { error: { message: 'Unknown request URL', code: null } })
}
