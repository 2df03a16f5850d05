// GET /join/embedder: the model that a page embeds with, and its files, each served by the coordinator under its sha256.
import * as z from 'zod/mini'
import { EmbedderSchema, Sha256 } from './manifest.ts'

export const OfferedEmbedderSchema = z.strictObject({
  identity: EmbedderSchema,
  maxTokens: z.int().check(z.positive()),
  /** In the layout of transformers.js; none for `hashing`. GET /join/model/{sha256}. */
  files: z.array(z.strictObject({ path: z.string(), sha256: Sha256, bytes: z.int().check(z.nonnegative()) })),
})

export type OfferedEmbedder = z.output<typeof OfferedEmbedderSchema>
