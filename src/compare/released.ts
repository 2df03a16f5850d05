// What a run of PrE-Text really released, as mechanisms: every release that lies in its folder, the charge that it cites in the
// ledger, and the bound that the run reports of itself. The three are written apart from each other and must agree.
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { PretextError } from '../errors.ts'
import type { ArmMechanism } from '../finetune/arm-job.ts'
import { type ReleaseFile, readRelease } from '../histogram/release.ts'
import { type ChargeEntry, chargesIn, commitOf, readLedger } from '../privacy/ledger.ts'
import { sensitivityFactor } from '../privacy/units.ts'
import { type RunManifest, readManifest } from '../run/folder.ts'
import { readRunReport } from '../run/read-run.ts'

const LABEL_SHARES = 'label-shares.json'
/** Noise is drawn at a standard deviation that is rounded up, by 1/1024 of a grid step at most. */
const ROUNDED = 1 / 1024

/** `clients`: all of them vote in every release. Throws PretextError `audit` where files, ledger and report disagree. */
export async function releasedBy(run: string, clients: number): Promise<ArmMechanism[]> {
  const { privacy } = await readRunReport(run)
  const { ledger, chargedAs } = (await readManifest(run)) as RunManifest
  const entries = await readLedger(resolve(run, ledger))
  const charges = chargesIn(entries).filter((entry) => entry.run === chargedAs)
  const cited = new Set<string>()
  const mechanisms: ArmMechanism[] = []
  // Those that are there, whatever number of rounds was planned.
  const rounds = (await readdir(join(run, 'rounds'))).filter((name) => /^\d+$/.test(name)).sort()
  for (const name of [LABEL_SHARES, ...rounds.map((round) => join('rounds', round, 'release.json'))]) {
    const file = join(run, name)
    const release = await readRelease(file)
    if (release === undefined) continue
    const charge = charges.find(({ hash }) => hash === release.charge)
    const bytes = await readFile(file)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    if (charge === undefined || cited.has(charge.hash) || commitOf(entries, charge) !== sha256) {
      throw disagreement(
        `${file}: expected a release that one charge of the ledger was spent on, got another`,
      )
    }
    cited.add(charge.hash)
    // Votes for labels have L2 norm 1, whatever those for candidates are held to.
    const clip = name === LABEL_SHARES ? 1 : privacy.l2Bound
    checkNoise(file, release, charge, clip)
    mechanisms.push({
      sigma: release.sigma / release.gridSteps,
      clip,
      releases: 1,
      cohort: clients,
      clients,
      sampling: 'all',
      contributions: 'non-negative',
      maxParticipations: 1,
    })
  }
  if (cited.size !== charges.length) {
    throw disagreement(`${run}: expected the ${charges.length} releases that were charged, got ${cited.size}`)
  }
  return mechanisms
}

function checkNoise(
  file: string,
  { sigma, gridSteps }: ReleaseFile,
  charge: ChargeEntry,
  clip: number,
): void {
  const { mechanism, adjacency } = charge
  const multiplier = mechanism.type === 'gaussian' ? mechanism.noiseMultiplier : 0
  const expected = multiplier * clip * gridSteps * sensitivityFactor(adjacency, 'non-negative')
  if (Math.abs(sigma - expected) <= ROUNDED + expected * 1e-9) return
  throw disagreement(
    `${file}: expected noise of ${expected} grid steps, by its charge and the bound of its votes, got ${sigma}`,
  )
}

function disagreement(message: string): PretextError {
  return new PretextError(message, {
    code: 'audit',
    hint: 'the run is not the one that was paid for: remove the folder of its corpus to make it again (it is charged again)',
  })
}
