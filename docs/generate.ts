// Writes what is derived from the code: configs/pretext.schema.json, docs/config.md, docs/cli.md, docs/exit-codes.md,
// trainer/pretext_trainer/protocol.schema.json.
// `npm run docs` writes; a test holds that the files are fresh.
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { COMMANDS, cli } from '../src/cli/main.ts'
import { configJsonSchema } from '../src/config/json-schema.ts'
import { ERROR_CODES } from '../src/errors.ts'
import { REFUSALS } from '../src/federation/protocol/messages.ts'
import { helperOpenApiDocument, openApiDocument } from '../src/federation/protocol/openapi.ts'
import { protocolJsonSchema } from '../src/finetune/protocol.ts'

interface Schema {
  readonly description?: string
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly default?: unknown
  readonly properties?: Record<string, Schema>
  readonly required?: readonly string[]
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly items?: Schema
  readonly additionalProperties?: Schema | boolean
}

function typeOf(schema: Schema): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(' \\| ')
  const alternatives = schema.anyOf ?? schema.oneOf
  if (alternatives !== undefined) return alternatives.map(typeOf).join(' \\| ')
  if (schema.type === 'array') return `list of ${schema.items === undefined ? 'any' : typeOf(schema.items)}`
  if (schema.properties !== undefined) return `{${Object.keys(schema.properties).join(', ')}}`
  return schema.type ?? 'any'
}

function rows(schema: Schema, prefix: string): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, value]) => {
    const name = prefix === '' ? key : `${prefix}.${key}`
    if (value.properties !== undefined) return rows(value, name)
    const required = schema.required?.includes(key) === true && value.default === undefined
    const fallback = required
      ? '**required**'
      : value.default === undefined
        ? ''
        : `\`${JSON.stringify(value.default)}\``
    const union = (value.anyOf ?? value.oneOf ?? []).flatMap((option) => rows(option, name))
    return [`| \`${name}\` | ${typeOf(value)} | ${fallback} | ${value.description ?? ''} |`, ...union]
  })
}

function configPage(): string {
  const schema = configJsonSchema() as Schema
  const sections = Object.entries(schema.properties ?? {}).filter(([key]) => key !== '$schema')
  const tables = sections.map(([key, value]) => {
    const own =
      value.properties === undefined
        ? rows({ properties: { [key]: value }, required: schema.required ?? [] }, '')
        : rows(value, key)
    const heading =
      value.description === undefined || value.properties === undefined ? '' : `${value.description}.\n\n`
    return `## ${key}\n\n${heading}| key | type | default | meaning |\n| --- | --- | --- | --- |\n${own.join('\n')}\n`
  })
  return `# Config\n\nOne YAML file describes a run. Unknown keys are errors, with the key that was probably meant; all errors come at once with\nfile, line and column. Paths are relative to the config file. \`--set key.key=value\` overrides a key. Epsilon and delta have\nno default. The files in \`configs/\` are examples of one screen each; editors complete keys from \`configs/pretext.schema.json\`.\n\n${tables.join('\n')}`
}

async function helpOf(args: readonly string[]): Promise<string> {
  const output = await new Promise<string>((resolve) => {
    cli([])
      .wrap(100)
      .parse([...args, '--help'], {}, (_error, _arguments, text) => resolve(text))
  })
  return output.trim()
}

async function cliPage(): Promise<string> {
  const names = COMMANDS.map((command) => String(command.command).split(' ')[0] as string)
  const pages = []
  for (const name of names) pages.push(`## ${name}\n\n\`\`\`\n${await helpOf([name])}\n\`\`\`\n`)
  return `# Commands\n\n\`\`\`\n${await helpOf([])}\n\`\`\`\n\n${pages.join('\n')}`
}

function exitCodesPage(): string {
  const lines = Object.entries(ERROR_CODES).map(
    ([code, { exitCode, meaning }]) => `| ${exitCode} | ${code} | ${meaning} |`,
  )
  return `# Exit codes\n\n| exit code | code in \`--json\` | meaning |\n| --- | --- | --- |\n| 0 | | all is well |\n${lines.join('\n')}\n`
}

/** docs/protocol.md is written by hand, but for its table of refusals. */
async function protocolPage(): Promise<string> {
  const page = await readFile(new URL('protocol.md', import.meta.url), 'utf8')
  const rows = Object.entries(REFUSALS).map(
    ([code, { status, meaning }]) => `| ${status} | \`${code}\` | ${meaning} |`,
  )
  const table = `| status | code | meaning |\n| --- | --- | --- |\n${rows.join('\n')}\n`
  return page.replace(/(and the codes are\n\n)(?:\|.*\n)*/, (_, lead) => `${lead}${table}`)
}

/** Path (from the root) and content of every derived file. */
export async function derivedFiles(): Promise<Record<string, string>> {
  return {
    'configs/pretext.schema.json': `${JSON.stringify(configJsonSchema(), null, 2)}\n`,
    'docs/config.md': configPage(),
    'docs/cli.md': await cliPage(),
    'docs/exit-codes.md': exitCodesPage(),
    'docs/openapi.json': `${JSON.stringify(openApiDocument(), null, 2)}\n`,
    'docs/openapi-helper.json': `${JSON.stringify(helperOpenApiDocument(), null, 2)}\n`,
    'docs/protocol.md': await protocolPage(),
    'trainer/pretext_trainer/protocol.schema.json': `${JSON.stringify(protocolJsonSchema(), null, 2)}\n`,
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [path, content] of Object.entries(await derivedFiles())) {
    const file = new URL(`../${path}`, import.meta.url)
    const before = await readFile(file, 'utf8').catch(() => '')
    if (before !== content) {
      await writeFile(file, content)
      console.log(`wrote ${path}`)
    }
  }
}
