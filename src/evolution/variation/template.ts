// Prompts in YAML files (configs/prompts/<operator>.yaml): one for models that continue text, one for models that chat.
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { z } from 'zod'
import { PretextError } from '../../errors.ts'
import type { CompletionInput, LanguageModel } from '../../llm/model.ts'

const Template = z.strictObject({
  /** Which of the two a model gets that takes both. */
  prefer: z.enum(['completion', 'chat']).default('completion'),
  completion: z.strictObject({ prompt: z.string(), stop: z.array(z.string()).max(4) }),
  chat: z.strictObject({
    system: z.string(),
    user: z.string(),
    stop: z.array(z.string()).max(4).default([]),
  }),
  /** How one example is written inside `{examples}`. */
  example: z.string().default('{text}\n'),
  /** Written as `{about}` where a label is given; `{label}` stands in it. */
  label: z.string().default('Topic: {label}\n'),
  /** Subjects of which zero-shot prompts name one each, for variety. */
  topics: z.array(z.string()).optional(),
})

export type PromptTemplate = z.infer<typeof Template>

/** The folder of the prompts that ship with pretext. */
export const PROMPTS = fileURLToPath(new URL('../../../configs/prompts/', import.meta.url))

export async function loadTemplate(name: string, folder: string = PROMPTS): Promise<PromptTemplate> {
  const path = `${folder.replace(/\/$/, '')}/${name}.yaml`
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw new PretextError(`${path}: expected a prompt file for the operator "${name}", found none`, {
      code: 'config',
      hint: 'evolution.variation.prompts names a folder with one YAML file for each operator in use',
      cause: error,
    })
  }
  const result = Template.safeParse(parse(text))
  if (!result.success) {
    throw new PretextError(`${path}: ${z.prettifyError(result.error)}`, { code: 'config' })
  }
  return result.data
}

/** Replaces `{name}` by its value, in one pass, so that braces inside a value stay as they are. */
export function fill(template: string, values: Readonly<Record<string, string>>): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole)
}

export interface PromptValues {
  readonly examples?: readonly string[]
  readonly label?: string | undefined
  readonly values?: Readonly<Record<string, string>>
}

/** The prompt for the kind of input that the model takes, and where it should stop. */
export function renderPrompt(
  template: PromptTemplate,
  input: LanguageModel['input'],
  { examples = [], label, values = {} }: PromptValues,
): { readonly input: CompletionInput; readonly stop: readonly string[] } {
  const all = {
    ...values,
    examples: examples
      .map((text, i) => fill(template.example, { text: text.replace(/\s+/g, ' '), number: String(i + 1) }))
      .join(''),
    next: String(examples.length + 1),
    label: label ?? '',
    about: label === undefined ? '' : fill(template.label, { label }),
  }
  if ((input === 'both' ? template.prefer : input) === 'completion') {
    const { prompt, stop } = template.completion
    return { input: { prompt: fill(prompt, all) }, stop }
  }
  const { system, user, stop } = template.chat
  const messages = [
    { role: 'system' as const, content: fill(system, all) },
    { role: 'user' as const, content: fill(user, all) },
  ]
  return { input: { messages }, stop }
}
