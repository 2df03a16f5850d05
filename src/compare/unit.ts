// What is done once: a piece of work in a folder of its own, whose result is one JSON file. With the file there it is done;
// without it, it was never begun or was stopped, and goes on. The file says what the work depended on.
import { createHash } from 'node:crypto'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { readIfThere, writeDurable } from '../durable.ts'
import { PretextError } from '../errors.ts'
import { infinityAsText, textAsInfinity } from '../report/json.ts'

const FILE = 'result.json'

export interface Done<T> {
  readonly result: T
  readonly seconds: number
}

/**
 * The result of `work`, from the folder where it is done. `depends` is everything that the result follows from; a folder of
 * other dependencies is refused. `resume` tells the work that an earlier try left something.
 */
export async function once<T>(
  folder: string,
  depends: unknown,
  work: (resume: boolean) => Promise<T>,
  now: () => number = performance.now.bind(performance),
): Promise<Done<T>> {
  const hash = dependsHash(depends)
  const known = await readDone<T>(folder, hash)
  if (known !== undefined) return known
  const left = await readdir(folder).catch(() => [] as string[])
  await mkdir(folder, { recursive: true })
  const began = now()
  const result = await work(left.length > 0)
  const done = { result, seconds: (now() - began) / 1000 }
  const text = JSON.stringify(
    { format: 'pretext-unit', version: 1, depends: hash, ...done },
    infinityAsText,
    2,
  )
  await writeDurable(join(folder, FILE), `${text}\n`)
  // Read back, so that the first time gives what every later time gives.
  return (await readDone<T>(folder, hash)) as Done<T>
}

/** What was done in a folder; undefined where nothing was finished. */
export async function readDone<T>(folder: string, hash?: string): Promise<Done<T> | undefined> {
  const file = join(folder, FILE)
  const text = await readIfThere(file)
  if (text === undefined) return undefined
  let parsed: { format?: unknown; depends?: unknown; result: T; seconds: number }
  try {
    parsed = JSON.parse(text, textAsInfinity)
  } catch {
    parsed = { format: undefined, result: undefined as T, seconds: 0 }
  }
  if (parsed.format !== 'pretext-unit') {
    throw new PretextError(`${file}: expected the result of a part of a comparison, got something else`, {
      code: 'data',
      hint: 'remove its folder to do it again',
    })
  }
  if (hash !== undefined && parsed.depends !== hash) {
    throw new PretextError(`${folder}: this part was done with other settings than the comparison has now`, {
      code: 'config',
      hint: 'choose another output.folder, put the old settings back, or remove this folder to do it again',
    })
  }
  return { result: parsed.result, seconds: parsed.seconds }
}

export function dependsHash(depends: unknown): string {
  return createHash('sha256').update(JSON.stringify(depends, infinityAsText)).digest('hex')
}
