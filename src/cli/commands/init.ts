// pretext init: writes a config for the user's own data, every number with its comment.
import { writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline/promises'
import { PretextError } from '../../errors.ts'
import { defineCommand, outputOf } from '../context.ts'
import { shown } from '../output/output.ts'

const QUESTIONS = {
  texts: 'File with the private texts (.jsonl, .csv, .parquet)?',
  client: 'Column that names the client (empty: each text is its own unit)?',
  epsilon: 'Epsilon to spend (smaller is more private; common: 0.5 to 10)?',
  delta: 'Delta (well below 1 / number of clients, for example 1e-6)?',
  hint: 'What are the texts, in a few words (prior knowledge, for example "a short support e-mail")?',
} as const

export const initCommand = defineCommand({
  command: 'init [file]',
  describe: 'Write a config for your own data (asks what is not given by flags)',
  builder: (yargs) =>
    yargs
      .positional('file', { type: 'string', default: 'pretext.yaml', describe: 'Config file to write' })
      .option('texts', { type: 'string', requiresArg: true, describe: 'File with the private texts' })
      .option('client', { type: 'string', describe: 'Column that names the client; "" for unit record' })
      .option('epsilon', { type: 'number', requiresArg: true, describe: 'Epsilon to spend' })
      .option('delta', { type: 'number', requiresArg: true, describe: 'Delta' })
      .option('hint', { type: 'string', requiresArg: true, describe: 'What the texts are, in a few words' }),
  async handler(args) {
    const { parseConfig } = await import('../../config/load.ts')
    const { storageError } = await import('../../durable.ts')
    const answers = await ask(args)
    const text = configText(answers)
    parseConfig(text, args.file)
    try {
      await writeFile(args.file, text, { flag: 'wx' })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') {
        throw new PretextError(`${args.file} is already there`, {
          code: 'usage',
          hint: 'name another file: pretext init FILE',
        })
      }
      throw storageError(error, args.file)
    }
    outputOf(args).result(`${shown(args.file)} written; next: pretext plan ${shown(args.file)}`, {
      config: args.file,
    })
  },
})

type Answers = Record<keyof typeof QUESTIONS, string>

async function ask(args: Partial<Record<keyof typeof QUESTIONS, unknown>>): Promise<Answers> {
  const keys = Object.keys(QUESTIONS) as (keyof typeof QUESTIONS)[]
  const missing = keys.filter((key) => args[key] === undefined)
  if (missing.length > 0 && process.stdin.isTTY !== true) {
    throw new PretextError(
      `expected ${missing.map((key) => `--${key}`).join(', ')} (no terminal to ask on)`,
      {
        code: 'usage',
      },
    )
  }
  const answers = Object.fromEntries(keys.map((key) => [key, String(args[key] ?? '')])) as Answers
  if (missing.length > 0) {
    const terminal = createInterface({ input: process.stdin, output: process.stderr })
    for (const key of missing) answers[key] = (await terminal.question(`${QUESTIONS[key]} `)).trim()
    terminal.close()
  }
  return answers
}

function configText({ texts, client, epsilon, delta, hint }: Answers): string {
  const quoted = (value: string) => JSON.stringify(value)
  return `# yaml-language-server: $schema=./node_modules/pretext/configs/pretext.schema.json
name: my-run
data:
  dataset: my-data                # the ledger counts what this data set has spent, over all runs
  private:
    path: ${quoted(texts)}
    text: text                    # column with the text
${client === '' ? '' : `    client: ${quoted(client)}              # column with the client\n`}privacy:
  unit: ${client === '' ? 'record                    # what is protected: one text' : 'client                    # what is protected: all texts of one client'}
  epsilon: ${epsilon}                      # spend of the whole run; the noise follows from it
  delta: ${delta}                     # well below 1 / (number of clients)
histogram:
  vote: normalised                # each client counts alike (L2 norm 1)
  maxTextsPerClient: 8            # a client votes with at most so many of its texts
evolution:
  rounds: 4                       # each round is one release; fewer rounds, less noise in each
  population: 128                 # candidates in a round; more need more clients
  initial:
    from: zero-shot               # or "public", with data.public
    hint: ${quoted(hint)}
generate:
  texts: 500                      # size of the corpus; costs no privacy
`
}
