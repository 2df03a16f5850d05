// From a YAML file, environment and flags to a checked config. All errors at once, each with file:line:column and, for a
// misspelt key, the key that was probably meant.
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { closest, distance } from 'fastest-levenshtein'
import { type Document, isMap, isNode, LineCounter, parse, parseDocument } from 'yaml'
import { z } from 'zod'
import { PretextError } from '../errors.ts'
import { type Config, ConfigSchema } from './schema.ts'

export interface LoadedConfig {
  readonly config: Config
  /** Absolute path of the config file; paths inside it are relative to its folder. */
  readonly file: string
  /** Resolves a path of the config. */
  readonly path: (relative: string) => string
}

export interface LoadOptions {
  /** `a.b=c` overrides, values read as YAML. */
  readonly set?: readonly string[]
}

export async function loadConfig(file: string, options: LoadOptions = {}): Promise<LoadedConfig> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw new PretextError(`${file}: expected a config file, could not read one`, {
      code: 'config',
      hint: '"pretext init" writes one; "pretext generate configs/quickstart.yaml" runs the example',
      cause: error,
    })
  }
  const absolute = resolve(file)
  return { ...parseConfig(text, file, options), file: absolute, path: (p) => resolve(dirname(absolute), p) }
}

/** Parses and checks a config; `name` stands in the messages. */
export function parseConfig(
  text: string,
  name: string,
  options: LoadOptions = {},
): { readonly config: Config } {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset)
    return `${name}:${line}:${col}`
  }
  if (document.errors.length > 0) {
    throw configError(document.errors.map((error) => `${at(error.pos[0])}: ${withoutQuotes(error.message)}`))
  }
  for (const setting of options.set ?? []) applySetting(document, setting)
  const result = ConfigSchema.safeParse(document.toJS() ?? {})
  if (result.success) return { config: result.data }
  const problems = result.error.issues.flatMap((issue) => describeIssue(issue, document, at))
  throw configError(problems)
}

/** What YAML says without what it quotes: the file that was named may be the private data by mistake. */
export function withoutQuotes(message: string): string {
  return message.replace(/(?:: |sequence | ["'`{[]).*$/s, '')
}

/** A key as it may stand in a message: a word, as all known keys are; ids and sentences are not shown. */
function shownKey(keys: readonly (string | number)[]): string {
  return keys.every((key) => /^[$\w]{1,40}$/.test(String(key))) ? ` "${keys.join('.')}"` : ''
}

const TOLD = 20

function configError(problems: readonly string[]): PretextError {
  const all = [...new Set(problems)]
  const unique = all.slice(0, TOLD)
  const heading =
    all.length === 1
      ? ''
      : `${all.length} problems in the config${all.length > TOLD ? `, the first ${TOLD}` : ''}:\n`
  return new PretextError(`${heading}${unique.join('\n')}`, {
    code: 'config',
    hint: 'docs/config.md lists every key; editors complete them from configs/pretext.schema.json',
  })
}

function applySetting(document: Document, setting: string): void {
  const equals = setting.indexOf('=')
  if (equals < 1) {
    throw new PretextError(`expected --set key.key=value, got "${setting}"`, { code: 'usage' })
  }
  const keys = setting.slice(0, equals).split('.')
  for (let i = 1; i < keys.length; i++) {
    const parent = keys.slice(0, i)
    if (!isMap(document.getIn(parent, true))) document.setIn(parent, document.createNode({}))
  }
  document.setIn(keys, document.createNode(parse(setting.slice(equals + 1))))
}

function describeIssue(
  issue: z.core.$ZodIssue,
  document: Document,
  at: (offset: number) => string,
): string[] {
  const keys = issue.path.map((key) => (typeof key === 'symbol' ? key.toString() : key))
  const where = positionOf(document, keys)
  const place = where === undefined ? 'the command line' : at(where)
  const dotted = keys.join('.') || 'the config'
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const offset = keyPosition(document, [...keys, key]) ?? where
      const near = nearest(key, knownKeys(keys))
      const meant = near === undefined ? '' : `; did you mean "${near}"?`
      return `${offset === undefined ? 'the command line' : at(offset)}: unknown key${shownKey([...keys, key])}${meant}`
    })
  }
  if (issue.code === 'invalid_union') {
    const inner = issue.errors.flat().find((error) => error.code === 'unrecognized_keys')
    if (inner !== undefined)
      return describeIssue({ ...inner, path: [...issue.path, ...inner.path] }, document, at)
  }
  return [`${place}: ${dotted}: ${issue.message}`]
}

/** Offset of the value at `keys`, or of the nearest parent that is in the file. */
function positionOf(document: Document, keys: readonly (string | number)[]): number | undefined {
  for (let length = keys.length; length >= 0; length--) {
    const node = length === 0 ? document.contents : document.getIn(keys.slice(0, length), true)
    if (isNode(node) && node.range) return keyPosition(document, keys.slice(0, length)) ?? node.range[0]
  }
  return document.contents === null ? 0 : undefined
}

/** Offset of the key itself. */
function keyPosition(document: Document, keys: readonly (string | number)[]): number | undefined {
  const parent = keys.length === 1 ? document.contents : document.getIn(keys.slice(0, -1), true)
  if (!isMap(parent)) return undefined
  const pair = parent.items.find((item) => isNode(item.key) && String(item.key) === String(keys.at(-1)))
  return pair !== undefined && isNode(pair.key) ? pair.key.range?.[0] : undefined
}

/** The keys that the schema knows at a path. */
function knownKeys(path: readonly (string | number)[]): string[] {
  let schema: unknown = z.toJSONSchema(ConfigSchema, { io: 'input', unrepresentable: 'any' })
  for (const key of path) {
    const options = alternatives(schema).flatMap((s) =>
      s.properties?.[key] === undefined ? [] : [s.properties[key]],
    )
    schema = { anyOf: options }
  }
  return alternatives(schema).flatMap((s) => Object.keys(s.properties ?? {}))
}

interface JsonSchema {
  readonly properties?: Record<string, unknown>
  readonly anyOf?: unknown[]
  readonly oneOf?: unknown[]
}

function alternatives(schema: unknown): JsonSchema[] {
  const s = (schema ?? {}) as JsonSchema
  const more = [...(s.anyOf ?? []), ...(s.oneOf ?? [])]
  return more.length === 0 ? [s] : more.flatMap(alternatives)
}

/** The known key at the smallest edit distance, if it is near. */
function nearest(key: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined
  const best = closest(key, known)
  return distance(key, best) <= Math.max(2, Math.floor(key.length / 3)) ? best : undefined
}
