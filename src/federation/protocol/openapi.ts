// The protocol as an OpenAPI 3.1 document, made from the schemas; docs/openapi.json is this, and a test holds it fresh.
import * as z from 'zod/mini'
import { VERSION } from '../../version.ts'
import { OfferedEmbedderSchema } from './embedder-files.ts'
import { ManifestSchema } from './manifest.ts'
import {
  EnrolledSchema,
  EnrolmentSchema,
  ProblemSchema,
  REFUSALS,
  ReceiptSchema,
  type RefusalCode,
  RoundStateSchema,
  SeatSchema,
  TaskSchema,
} from './messages.ts'

const SCHEMAS = {
  Task: TaskSchema,
  Manifest: ManifestSchema,
  Enrolment: EnrolmentSchema,
  Enrolled: EnrolledSchema,
  Seat: SeatSchema,
  Receipt: ReceiptSchema,
  RoundState: RoundStateSchema,
  OfferedEmbedder: OfferedEmbedderSchema,
  Problem: ProblemSchema,
}

const HASH = { type: 'string', pattern: '^[0-9a-f]{64}$' }
const parameter = (name: string, description: string, schema: object = HASH) => ({
  name,
  in: 'path',
  required: true,
  description,
  schema,
})
const ref = (name: keyof typeof SCHEMAS) => ({ $ref: `#/components/schemas/${name}` })
const json = (name: keyof typeof SCHEMAS) => ({ content: { 'application/json': { schema: ref(name) } } })
const bytes = { content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } } }
const ok = (description: string, content: object) => ({ '200': { description, ...content } })

/** The refusals that an operation can answer with, by status. */
function refusals(...codes: RefusalCode[]): Record<string, object> {
  const byStatus = new Map<number, RefusalCode[]>()
  for (const code of [...codes, 'internal' as const]) {
    const { status } = REFUSALS[code]
    byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  }
  return Object.fromEntries(
    [...byStatus].map(([status, list]) => [
      String(status),
      {
        description: list.map((code) => `${code}: ${REFUSALS[code].meaning}`).join('; '),
        content: { 'application/problem+json': { schema: ref('Problem') } },
      },
    ]),
  )
}

const SIGNED = ['unsigned', 'expired', 'replayed'] as const
const BODY = ['malformed', 'too-large', 'wrong-type'] as const
const manifest = parameter('manifest', 'sha256 of the round’s manifest')

export function openApiDocument() {
  const schemas = Object.fromEntries(
    Object.entries(SCHEMAS).map(([name, schema]) => {
      const { $schema: _, ...rest } = z.toJSONSchema(schema)
      return [name, rest]
    }),
  )
  return {
    openapi: '3.1.0',
    info: {
      title: 'pretext federation',
      version: VERSION,
      description: 'Coordinator of a federation. Meanings, signatures and byte formats: docs/protocol.md.',
    },
    paths: {
      '/v1/task': {
        get: {
          operationId: 'task',
          responses: { ...ok('What one takes part in', json('Task')), ...refusals() },
        },
      },
      '/v1/blobs/{sha256}': {
        get: {
          operationId: 'blob',
          description: 'Immutable bytes by their sha256: manifests (JSON), candidates, releases',
          parameters: [parameter('sha256', 'sha256 of the bytes')],
          responses: {
            ...ok('The bytes', bytes),
            '304': { description: 'The caller has them' },
            ...refusals('not-found'),
          },
        },
      },
      '/v1/clients': {
        post: {
          operationId: 'enrol',
          security: [{ signature: [] }],
          requestBody: { required: true, ...json('Enrolment') },
          responses: {
            '201': { description: 'Enrolled, now or before', ...json('Enrolled') },
            ...refusals(...BODY, 'unsigned', 'expired', 'unknown-token'),
          },
        },
      },
      '/v1/rounds/{manifest}/state': {
        get: {
          operationId: 'roundState',
          parameters: [manifest],
          responses: { ...ok('How the round stands', json('RoundState')), ...refusals('not-found') },
        },
      },
      '/v1/rounds/{manifest}/seat': {
        post: {
          operationId: 'takeSeat',
          description: 'Needed before voting where the manifest limits the seats. Body: {}',
          security: [{ signature: [] }],
          parameters: [manifest],
          requestBody: { required: true, content: { 'application/json': { schema: { type: 'object' } } } },
          responses: {
            ...ok('The client may vote', json('Seat')),
            ...refusals(...BODY, ...SIGNED, 'not-found', 'round-closed', 'no-seat-left', 'try-later'),
          },
        },
      },
      '/v1/rounds/{manifest}/vote': {
        put: {
          operationId: 'vote',
          description:
            'One counted vote for each client and round; the same bytes again give the same receipt',
          security: [{ signature: [] }],
          parameters: [manifest],
          requestBody: { required: true, ...bytes },
          responses: {
            ...ok('The vote is durable', json('Receipt')),
            ...refusals(
              ...BODY,
              ...SIGNED,
              'no-seat',
              'not-found',
              'other-vote',
              'round-closed',
              'bad-vote',
              'try-later',
            ),
          },
        },
      },
      '/v1/operator/{action}': {
        post: {
          operationId: 'operate',
          security: [{ operator: [] }],
          parameters: [
            parameter('action', 'What to do', {
              type: 'string',
              enum: ['pause', 'resume', 'drain', 'tokens'],
            }),
          ],
          responses: {
            ...ok('Done', { content: { 'application/json': { schema: { type: 'object' } } } }),
            ...refusals('forbidden', 'not-found'),
          },
        },
      },
      '/join/embedder': {
        get: {
          operationId: 'embedder',
          description: 'The model that a page embeds with, so that it loads nothing from elsewhere',
          responses: { ...ok('The embedder and its files', json('OfferedEmbedder')), ...refusals() },
        },
      },
      '/join/model/{sha256}': {
        get: {
          operationId: 'modelFile',
          description: 'A file of that model by its sha256',
          parameters: [parameter('sha256', 'sha256 of the file')],
          responses: { ...ok('The file', bytes), ...refusals('not-found') },
        },
      },
    },
    components: {
      schemas,
      securitySchemes: {
        signature: {
          type: 'apiKey',
          in: 'header',
          name: 'Authorization',
          description: 'Pretext client=...,time=...,nonce=...,signature=... (docs/protocol.md)',
        },
        operator: { type: 'http', scheme: 'bearer' },
      },
    },
  }
}
