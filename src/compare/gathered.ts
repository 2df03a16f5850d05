// The private texts of a simulation in one place, as an arm without a promise gathers them: each client sends its own once. The
// message is the one that central-dp counts (trainer/pretext_trainer/federated/central.py).
import { readFile } from 'node:fs/promises'
import type { ArmMeters } from '../finetune/arm-job.ts'
import { NO_METERS } from './meters.ts'

export interface Gathered {
  readonly texts: readonly string[]
  /** Of the sending alone. */
  readonly meters: ArmMeters
}

/** `file`: the clients of the split. */
export async function gatherTexts(file: string): Promise<Gathered> {
  const texts: string[] = []
  const messages = new Map<string, string[]>()
  for (const line of (await readFile(file, 'utf8')).split('\n')) {
    if (line === '') continue
    const { client, text } = JSON.parse(line) as { client: string; text: string }
    texts.push(text)
    const own = messages.get(client) ?? []
    own.push(JSON.stringify(text))
    messages.set(client, own)
  }
  let bytes = 0
  for (const own of messages.values()) bytes += Buffer.byteLength(`[${own.join(', ')}]`)
  const clients = messages.size
  const meters = { ...NO_METERS, rounds: 1, participations: clients, bytesUpPerClientRound: bytes / clients }
  return { texts, meters }
}
