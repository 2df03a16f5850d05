// The form of a test vector, which is that of the VDAF draft's official ones (appendix C), and the instance it is for.
import type { Field } from '../../src/vdaf/field.ts'
import {
  prio3Count,
  prio3Histogram,
  prio3L1BoundSum,
  prio3MultihotCountVec,
  prio3MultihotCountVecWithMultiproof,
  prio3Sum,
  prio3SumVec,
  prio3SumVecWithMultiproof,
} from '../../src/vdaf/instances.ts'
import type { Prio3 } from '../../src/vdaf/prio3.ts'

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
  readonly max_value?: number
  readonly chunk_length?: number
  readonly operations: readonly Operation[]
  readonly reports: readonly VectorReport[]
  readonly agg_shares: readonly string[]
  readonly agg_result: unknown
}

// biome-ignore lint/suspicious/noExplicitAny: the measurement's type is the vector's
export type AnyPrio3 = Prio3<any, unknown>

/** The instance that a vector of this name was made with; `field` replaces the arithmetic. */
export function instanceOf(
  name: string,
  vector: Pick<
    TestVector,
    'shares' | 'length' | 'max_measurement' | 'max_weight' | 'max_value' | 'chunk_length'
  >,
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
    case 'Prio3L1BoundSum':
      return prio3L1BoundSum({
        shares,
        length,
        maxValue: vector.max_value ?? 0,
        chunkLength,
        ...over('Field128'),
      })
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
