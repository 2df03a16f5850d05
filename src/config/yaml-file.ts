// A small YAML file by a strict schema (a batch, a comparison): all problems at once, each at file:line:column, and nothing
// of the file quoted.
import { readFile } from 'node:fs/promises'
import { LineCounter, parseDocument } from 'yaml'
import type { z } from 'zod'
import { PretextError } from '../errors.ts'
import { withoutQuotes } from './load.ts'

export interface YamlFile<T> {
  readonly value: T
  /** file:line:column of the value at these keys, or of the nearest parent that is in the file. */
  readonly place: (keys: readonly string[]) => string
}

/** `what` names the thing in messages: "batch". Throws PretextError `config`. */
export async function readYamlFile<S extends z.ZodType>(
  file: string,
  schema: S,
  { what, hint }: { readonly what: string; readonly hint: string },
): Promise<YamlFile<z.output<S>>> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw new PretextError(`${file}: expected a ${what} file, could not read one`, {
      code: 'config',
      hint,
      cause: error,
    })
  }
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const at = (offset: number | undefined): string => {
    const { line, col } = lines.linePos(offset ?? 0)
    return `${file}:${line}:${col}`
  }
  const place = (keys: readonly string[]): string => at(offsetOf(document, keys))
  if (document.errors.length > 0) {
    const found = document.errors.map((error) => `${at(error.pos[0])}: ${withoutQuotes(error.message)}`)
    throw yamlProblems(found, what, hint)
  }
  const parsed = schema.safeParse(document.toJS() ?? {})
  if (!parsed.success) {
    const found = parsed.error.issues.map((issue) => {
      const keys = issue.path.map(String)
      return `${place(keys)}: ${keys.join('.') || `the ${what}`}: ${issue.message}`
    })
    throw yamlProblems(found, what, hint)
  }
  return { value: parsed.data, place }
}

function offsetOf(document: ReturnType<typeof parseDocument>, keys: readonly string[]): number | undefined {
  for (let length = keys.length; length > 0; length--) {
    const node = document.getIn(keys.slice(0, length), true) as
      | { range?: [number, number, number] }
      | undefined
    if (node?.range) return node.range[0]
  }
  return undefined
}

export function yamlProblems(lines: readonly string[], what: string, hint: string): PretextError {
  const heading = lines.length === 1 ? '' : `${lines.length} problems in the ${what}:\n`
  return new PretextError(`${heading}${lines.join('\n')}`, { code: 'config', hint })
}
