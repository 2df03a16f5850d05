// All arms, by name, in the order in which reports show them. A new arm is one file in arms/ and one line here.
import { PretextError } from '../errors.ts'
import type { Arm } from './arm.ts'
import { centralDp } from './arms/central-dp.ts'
import { dpPrompt } from './arms/dp-prompt.ts'
import { drEncoder } from './arms/dr-encoder.ts'
import { expandOnly } from './arms/expand-only.ts'
import { expandPrivate } from './arms/expand-private.ts'
import { dpFedAvg, dpFtrl } from './arms/federated.ts'
import { fedlpp } from './arms/fedlpp.ts'
import { local } from './arms/local.ts'
import { lora, loraDpSgd } from './arms/lora-dp-sgd.ts'
import { pretext } from './arms/pretext.ts'
import { privateTexts } from './arms/private.ts'
import { publicOnly } from './arms/public-only.ts'
import { scaleot, scaleotDp } from './arms/scaleot.ts'

export const ARMS: readonly Arm[] = [
  pretext,
  expandOnly,
  publicOnly,
  dpFedAvg,
  dpFtrl,
  centralDp,
  drEncoder,
  fedlpp,
  loraDpSgd,
  scaleotDp,
  dpPrompt,
  local,
  lora,
  scaleot,
  expandPrivate,
  privateTexts,
]

export function armOf(name: string): Arm {
  const found = ARMS.find((arm) => arm.name === name)
  if (found !== undefined) return found
  throw new PretextError(`expected the name of an arm, got "${name.slice(0, 40)}"`, {
    code: 'usage',
    hint: `arms: ${ARMS.map((arm) => arm.name).join(', ')}`,
  })
}
