// DP-SGD in one place: the texts are gathered, each step's gradient is bounded for every client (or, by Opacus, for every text,
// with what that leaves for a client as a group). Trusts whoever gathers; what federated training could reach at best.
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { defineArm } from '../arm.ts'
import { calibrateMechanisms } from '../epsilon.ts'

const count = z.int().min(1)
const positive = z.number().positive()

export const centralDp = defineArm({
  name: 'central-dp',
  about: 'DP-SGD over the gathered texts, each client’s gradient bounded: whoever gathers them is trusted',
  guarantee: 'client',
  epsilons: 'each',
  settings: z.strictObject({
    steps: count.default(100),
    /** Share of the clients (or of the texts) behind a step, each by its own coin. */
    rate: z.number().gt(0).max(1).default(0.25),
    /** text: example-level DP-SGD; a client is protected as a group of its texts. */
    unit: z.enum(['client', 'text']).default('client'),
    /** Texts of one client that are used, at most. */
    texts: count.default(8),
    optimiser: z.enum(['sgd', 'adam']).default('adam'),
    learningRate: positive.default(1e-3),
    clip: positive.default(0.3),
    loraRank: count.nullable().default(null),
  }),
  grid: { learningRate: [3e-4, 1e-3, 3e-3], steps: [50, 200], rate: [0.25, 1] },
  async run(task, { rate, unit, loraRank, ...settings }) {
    // Sampling by coins amplifies under add-remove; under the other adjacency all take part, which costs no more.
    const whole = rate === 1 || task.inputs.adjacency !== 'add-remove'
    const clients = unit === 'client' ? task.clients : await textsUsed(task.inputs.clients, settings.texts)
    const cohort = whole ? clients : Math.max(1, Math.round(rate * clients))
    const noiseMultiplier =
      task.epsilon === Number.POSITIVE_INFINITY
        ? 0
        : calibrateMechanisms(task.epsilon, task.inputs, (sigma) => [
            {
              sigma,
              clip: 1,
              releases: settings.steps,
              cohort,
              clients,
              sampling: whole ? 'all' : 'poisson',
              contributions: 'signed',
              maxParticipations: settings.steps,
              unit,
              ...(unit === 'text' ? { textsPerClient: settings.texts } : {}),
            },
          ])
    return task.runJob<'central-dp'>({
      kind: 'central-dp',
      ...task.inputs,
      ...settings,
      unit,
      batch: whole ? null : cohort,
      noiseMultiplier,
      lora: loraRank === null ? null : { rank: loraRank, alpha: 2 * loraRank },
    })
  },
})

/** Texts of all clients, at most `most` of each. */
async function textsUsed(file: string, most: number): Promise<number> {
  const counts = new Map<string, number>()
  for (const line of (await readFile(file, 'utf8')).split('\n')) {
    if (line === '') continue
    const { client } = JSON.parse(line) as { client: string }
    counts.set(client, Math.min(most, (counts.get(client) ?? 0) + 1))
  }
  return [...counts.values()].reduce((sum, count) => sum + count, 0)
}
