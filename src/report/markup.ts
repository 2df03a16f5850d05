// HTML that is safe by construction: what is put into an html`...` template is escaped, unless it was itself made by one.
// The texts of a report were written by a language model and are treated as hostile.

const content = Symbol('markup')

/** A piece of HTML. The key is a symbol, so that nothing read from JSON can pass for one. */
export interface Markup {
  readonly [content]: string
}

export type Insert = Markup | readonly Markup[] | string | number | null | undefined | false

/** Escaped for element content and for double-quoted attributes; control characters and lone surrogates are shown as U+FFFD. */
export function escapeHtml(text: string): string {
  return (
    text
      .replace(/&/g, '&amp;')
      .replace(/</g, '&lt;')
      .replace(/>/g, '&gt;')
      .replace(/"/g, '&quot;')
      .replace(/'/g, '&#39;')
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]|[\ud800-\udfff]/gu, '\ufffd')
  )
}

function insert(value: Insert): string {
  if (value === null || value === undefined || value === false) return ''
  if (typeof value === 'string') return escapeHtml(value)
  if (typeof value === 'number') return String(value)
  if (Array.isArray(value)) return value.map(insert).join('')
  const text = (value as Markup)[content]
  // An object of another shape comes from a damaged report.json: show nothing of it.
  return typeof text === 'string' ? text : ''
}

/** Template tag: literal parts as they are, inserted values escaped. */
export function html(parts: TemplateStringsArray, ...values: readonly Insert[]): Markup {
  let text = parts[0] ?? ''
  values.forEach((value, i) => {
    text += insert(value) + (parts[i + 1] ?? '')
  })
  return { [content]: text }
}

export function markupText(markup: Markup): string {
  return markup[content]
}
