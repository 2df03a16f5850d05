// The config as JSON Schema, for editors: configs/pretext.schema.json is this, written to a file.
import { z } from 'zod'
import { ConfigSchema } from './schema.ts'

export function configJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(ConfigSchema, { io: 'input', unrepresentable: 'any' })
  return { ...schema, title: 'pretext config' }
}
