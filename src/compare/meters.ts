// Meters that are read in this process.
import { readIfThere } from '../durable.ts'
import type { ArmMeters } from '../finetune/arm-job.ts'

/** Of an arm that asks nothing of any client. */
export const NO_METERS: ArmMeters = {
  rounds: 0,
  participations: 0,
  bytesDownPerClientRound: 0,
  bytesUpPerClientRound: 0,
  clientCpuSecondsPerRound: 0,
  clientFlopsPerRound: 0,
  serverCpuSeconds: 0,
  llmTokens: 0,
}

/** Starts a clock of this process's CPU time, over all its threads; the answer reads it. */
export function cpuSeconds(): () => number {
  const before = process.cpuUsage()
  return () => {
    const { user, system } = process.cpuUsage(before)
    return (user + system) / 1e6
  }
}

/** Prompt and completion tokens of every completion that a run ever asked for, over all processes that worked on it. */
export async function llmTokensIn(cacheFile: string): Promise<number> {
  const text = (await readIfThere(cacheFile)) ?? ''
  let tokens = 0
  for (const line of text.split('\n').slice(1)) {
    if (line === '') continue
    try {
      const { promptTokens = 0, completionTokens = 0 } = JSON.parse(line) as Record<string, number>
      tokens += promptTokens + completionTokens
    } catch {
      // A line that a crash tore off was asked again.
    }
  }
  return tokens
}
