// Runs one test vector, in the form of the VDAF draft's official ones (appendix C): every operation it lists, every byte.
import { expect } from 'vitest'
import type { Field } from '../../src/vdaf/field.ts'
import {
  prio3Count,
  prio3Histogram,
  prio3MultihotCountVec,
  prio3MultihotCountVecWithMultiproof,
  prio3Sum,
  prio3SumVec,
  prio3SumVecWithMultiproof,
} from '../../src/vdaf/instances.ts'
import type { Prio3 } from '../../src/vdaf/prio3.ts'
import type { Verification } from '../../src/vdaf/verify.ts'

export interface VectorReport {
  readonly measurement: unknown
  readonly nonce: string
  readonly rand: string
  readonly public_share: string
  readonly input_shares: readonly string[]
  readonly verifier_shares: readonly (readonly string[])[]
  readonly verifier_messages: readonly string[]
  readonly out_shares: readonly string[]
}

export interface Operation {
  readonly operation: string
  readonly report_index?: number
  readonly aggregator_id?: number
  readonly success: boolean
}

export interface TestVector {
  readonly ctx: string
  readonly verify_key: string
  readonly shares: number
  readonly length?: number
  readonly max_measurement?: number
  readonly max_weight?: number
  readonly chunk_length?: number
  readonly operations: readonly Operation[]
  readonly reports: readonly VectorReport[]
  readonly agg_shares: readonly string[]
  readonly agg_result: unknown
}

// biome-ignore lint/suspicious/noExplicitAny: the measurement's type is the vector's
type AnyPrio3 = Prio3<any, unknown>

/** The instance that a vector of this name was made with; `field` replaces the arithmetic. */
export function instanceOf(
  name: string,
  vector: Omit<TestVector, 'operations' | 'reports' | 'agg_shares' | 'agg_result'>,
  field: (name: 'Field64' | 'Field128') => Field | undefined = () => undefined,
): AnyPrio3 {
  const over = (fieldName: 'Field64' | 'Field128') => {
    const chosen = field(fieldName)
    return chosen === undefined ? {} : { field: chosen }
  }
  const { shares } = vector
  const length = vector.length ?? 0
  const chunkLength = vector.chunk_length ?? 0
  const maxMeasurement = vector.max_measurement ?? 0
  const maxWeight = vector.max_weight ?? 0
  switch (name.replace(/_.*$/, '')) {
    case 'Prio3Count':
      return prio3Count({ shares, ...over('Field64') })
    case 'Prio3Sum':
      return prio3Sum({ shares, maxMeasurement, ...over('Field64') })
    case 'Prio3SumVec':
      return prio3SumVec({ shares, length, maxMeasurement, chunkLength, ...over('Field128') })
    case 'Prio3SumVecWithMultiproof':
      return prio3SumVecWithMultiproof({ shares, length, maxMeasurement, chunkLength, ...over('Field64') })
    case 'Prio3Histogram':
      return prio3Histogram({ shares, length, chunkLength, ...over('Field128') })
    case 'Prio3MultihotCountVec':
      return prio3MultihotCountVec({ shares, length, maxWeight, chunkLength, ...over('Field128') })
    case 'Prio3MultihotCountVecWithMultiproof':
      return prio3MultihotCountVecWithMultiproof({
        shares,
        length,
        maxWeight,
        chunkLength,
        ...over('Field64'),
      })
    default:
      throw new Error(`expected the name of a variant of Prio3, got ${name}`)
  }
}

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))
const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex')

export function runVector(vdaf: AnyPrio3, vector: TestVector): void {
  const context = bytes(vector.ctx)
  const verifyKey = bytes(vector.verify_key)
  const verifications = new Map<string, Verification>()
  const outputs = vector.agg_shares.map(() => [] as Uint8Array[])
  const steps: Record<string, (operation: Operation, report: VectorReport) => void> = {
    shard(_, report) {
      const sharded = vdaf.shard(report.measurement, {
        context,
        nonce: bytes(report.nonce),
        rand: bytes(report.rand),
      })
      expect(hex(sharded.publicShare)).toBe(report.public_share)
      expect(sharded.inputShares.map(hex)).toEqual(report.input_shares)
    },
    verify_init({ aggregator_id: aggregator = 0, report_index: index }, report) {
      const verification = vdaf.verifyInit({
        verifyKey,
        context,
        aggregator,
        nonce: bytes(report.nonce),
        publicShare: bytes(report.public_share),
        inputShare: bytes(report.input_shares[aggregator] ?? ''),
      })
      expect(hex(verification.verifierShare)).toBe(report.verifier_shares[0]?.[aggregator])
      verifications.set(`${index} ${aggregator}`, verification)
    },
    verifier_shares_to_message(_, report) {
      const message = vdaf.verifierSharesToMessage(context, report.verifier_shares[0]?.map(bytes) ?? [])
      expect(hex(message)).toBe(report.verifier_messages[0] ?? '')
    },
    verify_next({ aggregator_id: aggregator = 0, report_index: index }, report) {
      const verification = verifications.get(`${index} ${aggregator}`)
      if (verification === undefined) throw new Error('expected verify_init before verify_next')
      const output = vdaf.verifyNext(verification.state, bytes(report.verifier_messages[0] ?? ''))
      expect(hex(output)).toBe(report.out_shares[aggregator])
      outputs[aggregator]?.push(output)
    },
    aggregate({ aggregator_id: aggregator = 0 }) {
      expect(hex(vdaf.aggregate(outputs[aggregator] ?? []))).toBe(vector.agg_shares[aggregator])
    },
    unshard() {
      const result = vdaf.unshard(vector.agg_shares.map(bytes), vector.reports.length)
      expect(Array.isArray(result) ? result.map(Number) : Number(result)).toEqual(vector.agg_result)
    },
  }
  for (const operation of vector.operations) {
    const step = steps[operation.operation]
    if (step === undefined) throw new Error(`expected a known operation, got ${operation.operation}`)
    const run = () => step(operation, vector.reports[operation.report_index ?? 0] as VectorReport)
    if (operation.success) run()
    else expect(run).toThrow(expect.objectContaining({ name: 'RejectedReport' }))
  }
}
