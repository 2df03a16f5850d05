// A process that makes one release and can be killed at a named moment: `tsx release-child.ts FOLDER MOMENT`.
// "counted" is before the charge, "charged" before the draw is written, "released" after the rename.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { voteBound } from '../../src/histogram/bound.ts'
import { ExactVotes } from '../../src/histogram/exact-votes.ts'
import { releaseHistogram } from '../../src/histogram/release.ts'
import { systemRandom } from '../../src/privacy/private-random.ts'

const [folder, moment] = process.argv.slice(2) as [string, string]
const die = () => process.kill(process.pid, 'SIGKILL')
const system = systemRandom()
let drawn = 0
const { histogram, redrawn } = await releaseHistogram({
  file: join(folder, 'release.json'),
  ledger: join(folder, 'ledger.jsonl'),
  terms: { dataset: 'people', unit: 'client', adjacency: 'add-remove' },
  charge: { run: 'run-1', release: 'round-1', mechanism: { type: 'gaussian', noiseMultiplier: 2 } },
  count: async () => {
    if (moment === 'counted') die()
    const votes = new ExactVotes(
      32,
      voteBound({ mode: 'normalised', maxTextsPerClient: 1, neighbours: 1 }),
      false,
    )
    for (let i = 0; i < 32; i++) votes.add({ indices: [i], steps: [65536n] })
    return votes
  },
  random: {
    word() {
      // In the middle of the draw: the charge is on the disk, the release is not.
      if (moment === 'charged' && ++drawn === 40) die()
      return system.word()
    },
  },
})
writeFileSync(join(folder, 'seen.json'), JSON.stringify({ steps: histogram.steps, redrawn }))
if (moment === 'released') die()
