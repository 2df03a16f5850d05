// What "serve" and "helper" do with the keys of an aggregator: say who it is, and change the key that votes are sealed to.
import { PretextError } from '../../errors.ts'

export const graceMinutes = {
  type: 'number',
  default: 60,
  requiresArg: true,
  describe: 'With --rotate-keys: votes under the key before are taken so long',
} as const

interface KeyArguments {
  readonly 'rotate-keys': boolean
  readonly 'grace-minutes': number
}

type Result = (text: string, object: Record<string, unknown>) => void

/** Makes the keys where there are none yet, and prints the identity. */
export async function ownKeys(
  file: string,
  { 'rotate-keys': rotateKeys, 'grace-minutes': minutes }: KeyArguments,
  result: Result,
): Promise<void> {
  const { openKeyRing, rotateSealingKey } = await import('../../federation/verification/aggregator-keys.ts')
  if (!(minutes >= 0 && minutes <= 10_080)) {
    throw new PretextError(`--grace-minutes: expected 0 to 10080 (a week), got ${minutes}`, {
      code: 'usage',
    })
  }
  const ring = await openKeyRing(file)
  const now = Date.now()
  if (rotateKeys) await rotateSealingKey(file, now, minutes * 60_000)
  const { identity, sealingKeys } = await ring.current()
  const sealing = sealingKeys(now).keys.map(({ id, expires }) => ({ id, expires }))
  result(rotateKeys ? `votes are sealed to the new key ${sealing[0]?.id}` : identity.text, {
    identity: identity.text,
    sealing,
  })
}
