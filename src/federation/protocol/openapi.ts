// The protocol as an OpenAPI 3.1 document, made from the schemas; docs/openapi.json is this, and a test holds it fresh.
import * as z from 'zod/mini'
import { VERSION } from '../../version.ts'
import { KeysSchema, SealingKeysSchema } from './aggregator.ts'
import { OfferedEmbedderSchema } from './embedder-files.ts'
import { ManifestSchema, PROTOCOL } from './manifest.ts'
import {
  EnrolledSchema,
  EnrolmentSchema,
  ProblemSchema,
  REFUSALS,
  ReceiptSchema,
  type RefusalCode,
  ReleaseRequestSchema,
  RoundStateSchema,
  SeatSchema,
  TaskSchema,
} from './messages.ts'
import { namesVersion, PROTOCOL_HEADER } from './version.ts'

const SCHEMAS = {
  Task: TaskSchema,
  Manifest: ManifestSchema,
  Enrolment: EnrolmentSchema,
  Enrolled: EnrolledSchema,
  Seat: SeatSchema,
  Receipt: ReceiptSchema,
  RoundState: RoundStateSchema,
  Keys: KeysSchema,
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
type Name = keyof typeof SCHEMAS | 'SealingKeys' | 'ReleaseRequest'
const ref = (name: Name) => ({ $ref: `#/components/schemas/${name}` })
const json = (name: Name) => ({ content: { 'application/json': { schema: ref(name) } } })
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

const SIGNATURE = {
  type: 'apiKey',
  in: 'header',
  name: 'Authorization',
  description: 'Pretext client=...,time=...,nonce=...,signature=... (docs/protocol.md)',
}
const SIGNED = ['unsigned', 'expired', 'replayed'] as const
/** Of a request that names another version. */
const SPOKEN = ['malformed'] as const
const BODY = ['malformed', 'too-large', 'wrong-type'] as const
const manifest = parameter('manifest', 'sha256 of the round’s manifest')

function schemasOf(all: Readonly<Record<string, z.core.$ZodType>>): Record<string, object> {
  return Object.fromEntries(
    Object.entries(all).map(([name, schema]) => {
      const { $schema: _, ...rest } = z.toJSONSchema(schema)
      return [name, rest]
    }),
  )
}

const bodyAhead = {
  ...parameter('pretext-body', 'sha256 of the body, in hex: the signature is looked at before the body'),
  in: 'header',
}

/** With the header that every request of these paths has. */
function versioned<T extends Readonly<Record<string, object>>>(paths: T): T {
  const version = {
    ...parameter(PROTOCOL_HEADER, 'The version that is spoken; answers name theirs', {
      type: 'string',
      const: PROTOCOL,
    }),
    in: 'header',
  }
  const all = Object.entries(paths).map(([path, item]) => [
    path,
    namesVersion(path) ? { parameters: [version], ...item } : item,
  ])
  return Object.fromEntries(all) as T
}

/** What the leader asks of the helper; docs/openapi-helper.json is this. */
export function helperOpenApiDocument() {
  const asked = (operationId: string, description: string, rest: object, ...codes: RefusalCode[]) => ({
    put: {
      operationId,
      description,
      security: [{ signature: [] }],
      ...rest,
      responses: {
        ...ok('Done, now or before; signed in the header pretext-signature', bytes),
        ...refusals(...BODY, ...SIGNED, 'try-later', ...codes),
      },
    },
  })
  const body = (content: object) => ({
    parameters: [manifest, bodyAhead],
    requestBody: { required: true, ...content },
  })
  const object = { content: { 'application/json': { schema: { type: 'object' } } } }
  const number = parameter('number', 'Of the job, from 0', { type: 'integer', minimum: 0 })
  return {
    openapi: '3.1.0',
    info: {
      title: 'pretext helper',
      version: VERSION,
      description: 'The second server of two-server mode, as its leader sees it: docs/protocol.md.',
    },
    paths: versioned({
      '/v1/keys': {
        get: {
          operationId: 'helperKeys',
          responses: { ...ok('Its sealing keys', json('SealingKeys')), ...refusals(...SPOKEN) },
        },
      },
      '/v1/rounds/{manifest}': asked(
        'announce',
        'The manifest, before a client hears of it',
        body(json('Manifest')),
        'other-terms',
      ),
      '/v1/rounds/{manifest}/jobs/{number}': asked(
        'job',
        'Reports of a closed round, with the leader’s half of their verification',
        { ...body(bytes), parameters: [manifest, number, bodyAhead] },
        'not-found',
        'other-job',
        'round-closed',
      ),
      '/v1/rounds/{manifest}/release': asked(
        'release',
        'Asks for the share of the sum with the helper’s noise: the same bytes for ever',
        body(json('ReleaseRequest')),
        'not-found',
        'other-job',
        'too-few',
        'no-budget',
        'round-closed',
      ),
      '/v1/rounds/{manifest}/refused': asked('refuse', 'The round is forgotten', body(object)),
    }),
    components: {
      schemas: schemasOf({
        Manifest: ManifestSchema,
        SealingKeys: SealingKeysSchema,
        ReleaseRequest: ReleaseRequestSchema,
        Problem: ProblemSchema,
      }),
      securitySchemes: { signature: SIGNATURE },
    },
  }
}

export function openApiDocument() {
  return {
    openapi: '3.1.0',
    info: {
      title: 'pretext federation',
      version: VERSION,
      description: 'Coordinator of a federation. Meanings, signatures and byte formats: docs/protocol.md.',
    },
    paths: versioned({
      '/v1/task': {
        get: {
          operationId: 'task',
          responses: { ...ok('What one takes part in', json('Task')), ...refusals(...SPOKEN) },
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
      '/v1/keys': {
        get: {
          operationId: 'keys',
          description: 'Two-server mode: what votes are sealed to, signed by each aggregator',
          responses: {
            ...ok('The sealing keys of both', json('Keys')),
            ...refusals(...SPOKEN, 'not-found', 'try-later'),
          },
        },
      },
      '/v1/clients': {
        post: {
          operationId: 'enrol',
          security: [{ signature: [] }],
          parameters: [bodyAhead],
          requestBody: { required: true, ...json('Enrolment') },
          responses: {
            '201': { description: 'Enrolled, now or before', ...json('Enrolled') },
            ...refusals(...BODY, 'unsigned', 'expired', 'unknown-token', 'try-later'),
          },
        },
      },
      '/v1/rounds/{manifest}/state': {
        get: {
          operationId: 'roundState',
          parameters: [manifest],
          responses: {
            ...ok('How the round stands', json('RoundState')),
            ...refusals(...SPOKEN, 'not-found'),
          },
        },
      },
      '/v1/rounds/{manifest}/seat': {
        post: {
          operationId: 'takeSeat',
          description: 'Needed before voting where the manifest limits the seats. Body: {}',
          security: [{ signature: [] }],
          parameters: [manifest, bodyAhead],
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
            'One counted vote for each client and round; the same bytes again give the same receipt. In two-server mode the body is a report, of type application/vnd.pretext.report',
          security: [{ signature: [] }],
          parameters: [manifest, bodyAhead],
          requestBody: { required: true, ...bytes },
          responses: {
            ...ok('The vote is durable', json('Receipt')),
            ...refusals(
              ...BODY,
              ...SIGNED,
              'no-seat',
              'not-found',
              'other-vote',
              'outdated-key',
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
    }),
    components: {
      schemas: schemasOf(SCHEMAS),
      securitySchemes: {
        signature: SIGNATURE,
        operator: { type: 'http', scheme: 'bearer' },
      },
    },
  }
}
