// The public texts of the base config as a file that a job of the trainer reads.
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PretextError } from '../errors.ts'
import { readPublicTexts } from '../texts/public-texts.ts'
import type { ArmTask } from './arm.ts'

/** Path of JSON lines, {"text": ...} each, in the folder of the run. Throws PretextError `config` where there are none. */
export async function publicFile({ configured, inputs }: ArmTask, why: string): Promise<string> {
  const loaded = await configured()
  const source = loaded.config.data.public
  if (source === undefined) {
    throw new PretextError(`${loaded.file}: expected data.public for ${why}, got none`, {
      code: 'config',
      hint: 'name public texts in the base config of the comparison',
    })
  }
  const { minWords, maxWords } = loaded.config.data
  const texts = await readPublicTexts(loaded.path(source.path), source.text, { minWords, maxWords })
  await mkdir(inputs.out, { recursive: true })
  const file = join(inputs.out, 'public.jsonl')
  await writeFile(file, texts.map((text) => `${JSON.stringify({ text })}\n`).join(''))
  return file
}
