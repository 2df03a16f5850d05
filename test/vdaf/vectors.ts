// Runs one test vector: every operation it lists, every byte.
import { expect } from 'vitest'
import type { Verification } from '../../src/vdaf/verify.ts'
import type { AnyPrio3, Operation, TestVector, VectorReport } from './vector-instance.ts'

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
