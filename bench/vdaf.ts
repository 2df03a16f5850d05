// `npx tsx bench/vdaf.ts [poisoned reports]`: what a vote costs its client and the two aggregators, in bytes and in time, and how
// many of 100,000 poisoned reports are counted (none may be). Writes bench/vdaf.json. Times are of this process' CPU, so that
// they hold on a machine that others use too; wall times are given beside them.
import { writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { seededRandom } from '../src/random.ts'
import { multihotVdaf } from '../src/vdaf/index.ts'
import { poisoner } from '../test/vdaf/poison.ts'

const MAX_WEIGHT = 16
const BLOCKS = 7
const poisoned = Number(process.argv[2] ?? 100_000)

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
const round = (value: number): number => Number(value.toPrecision(3))
const middle = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

/** Milliseconds a call: of CPU, the median and the least over blocks of calls; of wall time, the median over calls. */
function time(calls: number, run: () => void) {
  for (let i = 0; i < calls; i++) run()
  const wall: number[] = []
  const blocks = Array.from({ length: BLOCKS }, () => {
    const start = cpuMs()
    for (let i = 0; i < calls; i++) {
      const began = performance.now()
      run()
      wall.push(performance.now() - began)
    }
    return (cpuMs() - start) / calls
  })
  return { cpuMs: round(middle(blocks)), leastCpuMs: round(Math.min(...blocks)), wallMs: round(middle(wall)) }
}

function measure(length: number, multiproof: boolean) {
  const vdaf = multihotVdaf({ length, maxWeight: MAX_WEIGHT, multiproof })
  const random = seededRandom(1, 'vdaf', length)
  const context = new TextEncoder().encode('bench')
  const verifyKey = crypto.getRandomValues(new Uint8Array(32))
  const nonce = crypto.getRandomValues(new Uint8Array(16))
  const bits = new Uint8Array(length)
  for (let i = 0; i < MAX_WEIGHT; i++) bits[random.integer(length)] = 1

  const began = performance.now()
  const { publicShare, inputShares } = vdaf.shard(bits, { context, nonce })
  const firstShardWallMs = round(performance.now() - began)
  const init = (aggregator: number) =>
    vdaf.verifyInit({
      verifyKey,
      context,
      nonce,
      publicShare,
      aggregator,
      inputShare: inputShares[aggregator] ?? new Uint8Array(0),
    })
  const leader = init(0)
  const helper = init(1)
  const combine = () => vdaf.verifierSharesToMessage(context, [leader.verifierShare, helper.verifierShare])
  const message = combine()
  let sum = vdaf.aggregate([])
  const finish = ({ state }: typeof leader) => {
    sum = vdaf.aggregate([sum, vdaf.verifyNext(state, message)])
  }

  const calls = Math.max(5, Math.round(100_000 / length))
  const shard = time(calls, () => {
    vdaf.shard(bits, { context, nonce })
  })
  const leaderTime = time(calls, () => {
    finish(init(0))
    combine()
  })
  const helperTime = time(calls, () => finish(init(1)))
  const { sizes } = vdaf
  const row = {
    description: vdaf.description,
    soundnessBits: round(vdaf.soundness.bits),
    uploadBytes: sizes.upload,
    verifierShareBytes: sizes.verifierShare,
    aggregateShareBytes: sizes.aggregateShare,
    firstShardWallMs,
    shard,
    leader: leaderTime,
    helper: helperTime,
    leaderPerCpuSecond: Math.floor(1000 / leaderTime.cpuMs),
    helperPerCpuSecond: Math.floor(1000 / helperTime.cpuMs),
  }
  console.error(JSON.stringify(row))
  return row
}

function attack(reports: number, length: number, multiproof: boolean) {
  const tools = poisoner(
    { length, maxWeight: 8, multiproof },
    seededRandom(2, 'poison', length, Number(multiproof)),
  )
  const kinds = Object.entries(tools.attacks)
  const each = Math.ceil(reports / kinds.length)
  let accepted = 0
  const start = cpuMs()
  for (const [, make] of kinds) {
    for (let i = 0; i < each; i++) accepted += Number(tools.accepted(make()))
  }
  const row = {
    description: tools.vdaf.description,
    kinds: kinds.length,
    reports: each * kinds.length,
    accepted,
    // That any of them passes by chance.
    chanceOfOneBits: round(tools.vdaf.soundness.against({ queriesBits: 0, reports: each * kinds.length })),
    cpuSeconds: round((cpuMs() - start) / 1000),
  }
  console.error(JSON.stringify(row))
  return row
}

const shapes = [1024, 4096, 16_384].flatMap((length) =>
  [false, true].map((multiproof) => measure(length, multiproof)),
)
const attacks = [
  attack(Math.round(0.6 * poisoned), 64, false),
  attack(Math.round(0.36 * poisoned), 64, true),
  attack(Math.round(0.04 * poisoned), 1024, false),
]
await writeFile(
  new URL('vdaf.json', import.meta.url),
  `${JSON.stringify({ command: 'npx tsx bench/vdaf.ts', cores: cpus().length, cpu: cpus()[0]?.model, node: process.version, shared: true, maxWeight: MAX_WEIGHT, shapes, attacks }, null, 2)}\n`,
)
