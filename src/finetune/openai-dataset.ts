// The corpus as an OpenAI fine-tuning file: one {"messages": [...]} in each line, LF ends, the text as the assistant's
// turn after an instruction that the user states; and the check of such a file before it is uploaded and paid for.
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { PretextError } from '../errors.ts'
import { type CorpusRows, checkRows } from '../generate/writers/row.ts'
import { type FileOptions, writeWhole } from '../generate/writers/whole-file.ts'

/** OpenAI takes no fine-tuning file with fewer examples. */
export const MIN_EXAMPLES = 10

export interface FineTuneOptions extends FileOptions {
  /** The user's turn before each text; "{label}" in it stands for the label of the row. */
  readonly instruction: string
}

function tooFew(path: string, examples: number): PretextError {
  return new PretextError(`${path}: expected at least ${MIN_EXAMPLES} examples, got ${examples}`, {
    code: 'data',
    hint: 'OpenAI refuses smaller fine-tuning files: generate a larger corpus.',
  })
}

/** Writes the rows as they come and returns how many there were; fewer than MIN_EXAMPLES leave no file. */
export async function writeFineTune(
  source: CorpusRows,
  path: string,
  options: FineTuneOptions,
): Promise<number> {
  const { instruction } = options
  if (instruction.trim() === '') {
    throw new PretextError('expected an instruction for the user turn, got an empty one', { code: 'usage' })
  }
  const wantsLabel = instruction.includes('{label}')
  let written = 0
  await writeWhole(
    path,
    async (write) => {
      const { rows } = await checkRows(source)
      for await (const { text, label } of rows) {
        const number = written + 1
        if (wantsLabel && label === undefined) {
          throw new PretextError(`row ${number}: the instruction has {label}, and the row has no label`, {
            code: 'data',
            hint: 'Leave {label} out of the instruction, or export a corpus with labels.',
          })
        }
        if (text.trim() === '') {
          throw new PretextError(
            `row ${number}: expected a text for the assistant's turn, got an empty one`,
            {
              code: 'data',
            },
          )
        }
        const messages = [
          {
            role: 'user',
            content: wantsLabel ? instruction.replaceAll('{label}', () => label ?? '') : instruction,
          },
          { role: 'assistant', content: text },
        ]
        await write(`${JSON.stringify({ messages })}\n`)
        written++
      }
      if (written < MIN_EXAMPLES) throw tooFew(path, written)
    },
    options,
  )
  return written
}

const ROLES = ['system', 'developer', 'user', 'assistant']

/** What is wrong with one line, or undefined. Nothing of its content is repeated. */
export function fineTuneFault(line: string): string | undefined {
  let example: unknown
  try {
    example = JSON.parse(line)
  } catch {
    return 'expected one JSON object in the line, got text that is not JSON'
  }
  const messages = (example as { messages?: unknown } | null)?.messages
  if (!Array.isArray(messages)) return 'expected {"messages": [...]}, got no list of messages'
  if (messages.length === 0) return 'expected at least one message, got an empty list'
  for (const [i, message] of messages.entries()) {
    const where = `message ${i + 1}`
    const { role, content, weight } = (message ?? {}) as Record<string, unknown>
    if (typeof role !== 'string' || !ROLES.includes(role)) {
      return `${where}: expected a role out of ${ROLES.join(', ')}, got another`
    }
    if (typeof content !== 'string')
      return `${where}: expected content that is a string, got ${typeof content}`
    if (content.trim() === '') return `${where}: expected content, got an empty string`
    if (weight !== undefined && (role !== 'assistant' || (weight !== 0 && weight !== 1))) {
      return `${where}: expected a weight of 0 or 1 on an assistant message, got another`
    }
  }
  if (messages.at(-1).role !== 'assistant') return "expected the assistant's message last, got another role"
  if (!messages.some((message) => message.role === 'assistant' && message.weight !== 0)) {
    return 'expected an assistant message with a weight of 1, got only 0'
  }
  return undefined
}

/** Reads a fine-tuning file and returns its number of examples; throws PretextError `data` at the first bad line. */
export async function checkFineTuneFile(path: string): Promise<number> {
  const input = createReadStream(path)
  let number = 0
  try {
    for await (const line of createInterface({ input, crlfDelay: Infinity })) {
      number++
      const fault = fineTuneFault(line)
      if (fault !== undefined) throw new PretextError(`${path}:${number}: ${fault}`, { code: 'data' })
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new PretextError(`expected a fine-tuning file at ${path}, found none`, {
        code: 'data',
        cause: error,
      })
    }
    throw error
  } finally {
    input.destroy()
  }
  if (number < MIN_EXAMPLES) throw tooFew(path, number)
  return number
}
