// DR-Encoder and ScaleOT on data/debian, small enough for a CPU: the tables of docs/results.md.
//   npx tsx bench/dr-encoder-scaleot.ts [dr-encoder|scaleot] [--clients 200] [--width 64] [--layers 6] [--steps 250] [--out runs/two-systems]
// Everything is kept in the folder and found again. On a GPU, from a real checkpoint:
//   pretext train --from SmolLM2-135M-Instruct-Q8_0 --pretrain data/public/texts.jsonl --max-steps 1 --out smollm2
//   npx tsx bench/dr-encoder-scaleot.ts --start smollm2/model --clients 900 --device auto --rate 2e-4 --out runs/two-systems-135m
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { calibrateMechanisms } from '../src/compare/epsilon.ts'
import { readIfThere } from '../src/durable.ts'
import type { ArmResult } from '../src/finetune/arm-job.ts'
import { DR_ENCODER_CODECS } from '../src/finetune/dr-encoder-job.ts'
import { trainerPython } from '../src/finetune/environment.ts'
import type { Job, JobKind, JobResult } from '../src/finetune/protocol.ts'
import { runJob } from '../src/finetune/run-job.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    clients: { type: 'string', default: '200' },
    width: { type: 'string', default: '64' },
    layers: { type: 'string', default: '6' },
    steps: { type: 'string', default: '250' },
    epsilon: { type: 'string', default: '7.58' },
    /** Of DR-Encoder, those to run. */
    codecs: { type: 'string', default: 'zero,identity,random-projection,pca,autoencoder,prior-mean' },
    device: { type: 'string', default: 'cpu' },
    /** A model folder instead of a small model trained here. */
    start: { type: 'string' },
    /** Of the clients' training. */
    rate: { type: 'string', default: '2e-3' },
    out: { type: 'string', default: 'runs/two-systems' },
  },
})
const clients = Number(values.clients)
const out = resolve(values.out)
const data = resolve(import.meta.dirname, '../data')
const terms = { delta: 1e-4, adjacency: 'add-remove' } as const
const machine = { device: values.device === 'cpu' ? 'cpu' : 'auto', threads: 1 } as const
const RATE = 0.2
const ROUNDS = 10

async function job<K extends JobKind>(what: Job<K>, file: string): Promise<JobResult<K>> {
  const kept = await readIfThere(file)
  if (kept !== undefined) return JSON.parse(kept) as JobResult<K>
  const result = await runJob<K>(what, { python: await trainerPython() })
  await writeFile(file, JSON.stringify(result))
  return result
}

/** The first clients of the extract learn, the next 60 tell how well. */
async function split(): Promise<{ clients: string; validation: string }> {
  const rows = (await readFile(join(data, 'debian/clients.jsonl'), 'utf8')).trim().split('\n')
  const order = [...new Set(rows.map((row) => (JSON.parse(row) as { client: string }).client))]
  const part = async (name: string, wanted: readonly string[]) => {
    const set = new Set(wanted)
    const file = join(out, name)
    const own = rows.filter((row) => set.has((JSON.parse(row) as { client: string }).client))
    await writeFile(file, `${own.join('\n')}\n`)
    return file
  }
  return {
    clients: await part('clients.jsonl', order.slice(0, clients)),
    validation: await part('validation.jsonl', order.slice(clients, clients + 60)),
  }
}

await mkdir(out, { recursive: true })
const publicTexts = join(data, 'public/texts.jsonl')
const startFolder =
  (values.start === undefined ? undefined : resolve(values.start)) ??
  (
    await job<'train'>(
      {
        kind: 'train',
        out: join(out, 'start'),
        sequenceTokens: 64,
        model: {
          from: 'scratch',
          layers: Number(values.layers),
          width: Number(values.width),
          heads: Math.max(2, Number(values.width) / 32),
          feedForward: 2 * Number(values.width),
          vocabulary: 1024,
          vocabularyTexts: publicTexts,
        },
        stages: [
          {
            texts: publicTexts,
            name: 'public texts',
            batch: 32,
            microBatch: 32,
            learningRate: 3e-3,
            schedule: 'cosine',
            warmupSteps: 20,
            maxSteps: Number(values.steps),
          },
        ],
        gguf: false,
        ...machine,
      },
      join(out, 'start.json'),
    )
  ).model
const inputs = {
  ...(await split()),
  start: startFolder,
  ...terms,
  ...machine,
  publicTexts,
  textsPerClient: 4,
}

function row(cells: readonly (string | number | null | undefined)[]): void {
  console.log(
    `| ${cells.map((cell) => (typeof cell === 'number' ? Number(cell.toFixed(3)) : (cell ?? '-'))).join(' | ')} |`,
  )
}

async function drEncoder(): Promise<void> {
  const told = (sigma: number, cohort: number, releases: number, sampling: 'all' | 'poisson') =>
    ({
      sigma,
      clip: 1,
      releases,
      cohort,
      clients,
      sampling,
      contributions: 'signed',
      maxParticipations: releases,
    }) as const
  const noise = (asked: boolean) =>
    calibrateMechanisms(Number(values.epsilon), terms, (scale) => [
      ...(asked ? [told(2 * scale, clients, 1, 'all')] : []),
      told(scale, clients * RATE, ROUNDS, 'poisson'),
    ])
  row([
    'codec',
    'epsilon',
    'loss',
    'accuracy',
    'bytes up',
    'bytes down',
    'cosine, held-out update',
    'to another',
    'cosine, mean of rounds',
    'picked out of 16',
    'noised',
    'label',
  ])
  for (const epsilon of [Number.POSITIVE_INFINITY, Number(values.epsilon)]) {
    for (const codec of DR_ENCODER_CODECS.filter((name) => values.codecs.split(',').includes(name))) {
      const private_ = Number.isFinite(epsilon)
      if (private_ && (codec === 'zero' || codec === 'prior-mean')) continue
      const multiplier = private_ ? noise(codec === 'pca' || codec === 'autoencoder') : 0
      const name = `dr-encoder-${codec}-${epsilon}`
      const result: ArmResult = await job<'dr-encoder'>(
        {
          kind: 'dr-encoder',
          ...inputs,
          out: join(out, name),
          codec,
          rounds: ROUNDS,
          rate: RATE,
          local: { epochs: 2, batch: 4, learningRate: Number(values.rate) },
          noiseMultiplier: multiplier,
          statistics: { noiseMultiplier: 2 * multiplier },
          autoencoder: { steps: 150 },
        },
        join(out, `${name}.json`),
      )
      const { measures: m, meters, validation } = result
      const seen = (m.rounds as { cosine: number | null }[]).map(({ cosine }) => cosine ?? 0)
      row([
        codec,
        private_ ? epsilon : 'no noise',
        validation.loss,
        validation.accuracy,
        Math.round(meters.bytesUpPerClientRound),
        Math.round(meters.bytesDownPerClientRound),
        m.cosine as number,
        m.shuffledCosine as number,
        seen.reduce((a, b) => a + b, 0) / seen.length,
        m.identified as number | null,
        m.identifiedNoised as number | null,
        m.label as string,
      ])
    }
  }
}

async function scaleot(): Promise<void> {
  const size = (method: 'replace' | 'drop', alpha: number, beta: number) => ({ method, alpha, beta })
  const result = await job<'scaleot'>(
    {
      kind: 'scaleot',
      ...inputs,
      out: join(out, 'scaleot'),
      owners: 'one',
      rounds: 2,
      sampling: 'all',
      rate: 1,
      adapters: { layers: 2 },
      emulators: [
        size('replace', 0.5, 0.6),
        size('replace', 0.5, 0),
        size('replace', 0.75, 0.6),
        size('drop', 0.5, 0),
        size('drop', 0.75, 0),
        size('replace', 0, 0),
      ],
      search: { steps: 200, batch: 8, width: 16, learningRate: 2e-3 },
      local: { epochs: 1, batch: 8, learningRate: Number(values.rate) / 2 },
    },
    join(out, 'scaleot.json'),
  )
  const { measures: m } = result
  console.log(
    `zero-shot ${m.zeroShot}, full tuning ${m.fullTuning}, ${m.fullParameters} parameters, search ${m.searchSeconds} s`,
  )
  row(['method', 'alpha', 'beta', 'parameters', 'emulator', 'emulator tuned', 'plug-in', 'gap', 'recovery'])
  for (const r of m.emulators as Record<string, string | number | null>[]) {
    row([r.method, r.alpha, r.beta, r.parameters, r.emulator, r.emulatorTuned, r.plugIn, r.gap, r.recovery])
  }
}

if (positionals.length === 0 || positionals.includes('dr-encoder')) await drEncoder()
if (positionals.length === 0 || positionals.includes('scaleot')) await scaleot()
