// Makes test/golden/vdaf-vectors.json: `npx tsx test/golden/vdaf-vectors.ts && npm run format`. The same form as the VDAF draft's official vectors,
// made by the implementation after it was byte-exact on those; seeds, nonces and keys are counting bytes, as there.
import { writeFileSync } from 'node:fs'
import { instanceOf, type Operation, type TestVector } from '../vdaf/vector-instance.ts'

const counting = (length: number, from = 0): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (from + i) % 256)
const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex')

type Parameters = Pick<
  TestVector,
  'shares' | 'length' | 'max_measurement' | 'max_weight' | 'max_value' | 'chunk_length'
>

function make(name: string, parameters: Parameters, measurements: readonly unknown[]): TestVector {
  const vdaf = instanceOf(name, parameters)
  const context = new TextEncoder().encode('pretext test vector')
  const verifyKey = counting(vdaf.sizes.verifyKey)
  const operations: Operation[] = []
  const aggregators = Array.from({ length: parameters.shares }, (_, i) => i)
  const reports = measurements.map((measurement, index) => {
    const nonce = counting(16, index)
    const rand = counting(vdaf.sizes.rand, 7 * index)
    const sharded = vdaf.shard(measurement, { context, nonce, rand })
    const at = { report_index: index, success: true }
    operations.push({ operation: 'shard', ...at })
    const verified = aggregators.map((aggregator) => {
      operations.push({ operation: 'verify_init', aggregator_id: aggregator, ...at })
      return vdaf.verifyInit({
        verifyKey,
        context,
        aggregator,
        nonce,
        publicShare: sharded.publicShare,
        inputShare: sharded.inputShares[aggregator] ?? new Uint8Array(0),
      })
    })
    operations.push({ operation: 'verifier_shares_to_message', ...at })
    const message = vdaf.verifierSharesToMessage(
      context,
      verified.map((one) => one.verifierShare),
    )
    const outputs = verified.map(({ state }, aggregator) => {
      operations.push({ operation: 'verify_next', aggregator_id: aggregator, ...at })
      return vdaf.verifyNext(state, message)
    })
    return {
      outputs,
      report: {
        measurement,
        nonce: hex(nonce),
        rand: hex(rand),
        public_share: hex(sharded.publicShare),
        input_shares: sharded.inputShares.map(hex),
        verifier_shares: [verified.map((one) => hex(one.verifierShare))],
        verifier_messages: [hex(message)],
        out_shares: outputs.map(hex),
      },
    }
  })
  const aggregateShares = aggregators.map((aggregator) => {
    operations.push({ operation: 'aggregate', aggregator_id: aggregator, success: true })
    return vdaf.aggregate(reports.map(({ outputs }) => outputs[aggregator] ?? new Uint8Array(0)))
  })
  operations.push({ operation: 'unshard', success: true })
  const result = vdaf.unshard(aggregateShares, reports.length)
  return {
    ctx: hex(context),
    verify_key: hex(verifyKey),
    ...parameters,
    operations,
    reports: reports.map(({ report }) => report),
    agg_shares: aggregateShares.map(hex),
    agg_result: Array.isArray(result) ? result.map(Number) : Number(result),
  }
}

const bits = [
  [1, 0, 0, 1, 0, 0, 1],
  [0, 0, 0, 0, 0, 0, 0],
  [0, 1, 1, 1, 0, 0, 0],
]
const multihot = { shares: 2, length: 7, max_weight: 3, chunk_length: 3 }
const vectors: Record<string, TestVector> = {
  Prio3Count: make('Prio3Count', { shares: 2 }, [1, 0, 1]),
  Prio3Sum: make('Prio3Sum', { shares: 3, max_measurement: 100 }, [0, 100, 36, 37]),
  Prio3SumVec: make('Prio3SumVec', { shares: 2, length: 3, max_measurement: 6, chunk_length: 2 }, [
    [0, 6, 3],
    [4, 1, 2],
  ]),
  Prio3SumVecWithMultiproof: make(
    'Prio3SumVecWithMultiproof',
    { shares: 2, length: 3, max_measurement: 1, chunk_length: 2 },
    [[0, 1, 1]],
  ),
  Prio3Histogram: make('Prio3Histogram', { shares: 2, length: 5, chunk_length: 2 }, [0, 4, 4]),
  Prio3L1BoundSum: make('Prio3L1BoundSum', { shares: 2, length: 3, max_value: 6, chunk_length: 2 }, [
    [1, 2, 3],
    [0, 6, 0],
  ]),
  Prio3MultihotCountVec: make('Prio3MultihotCountVec', multihot, bits),
  Prio3MultihotCountVecWithMultiproof: make('Prio3MultihotCountVecWithMultiproof', multihot, bits),
}
writeFileSync(new URL('vdaf-vectors.json', import.meta.url), `${JSON.stringify(vectors, null, 1)}\n`)
