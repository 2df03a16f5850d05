// A process that works on a ledger: `release` makes one release of two candidates, `charge NAME COUNT` charges COUNT
// releases of run NAME. What it was promised goes to stdout at once, so that it is known also after kill -9.
import { writeSync } from 'node:fs'
import { join } from 'node:path'
import { voteBound } from '../../src/histogram/bound.ts'
import { ExactVotes } from '../../src/histogram/exact-votes.ts'
import { releaseHistogram } from '../../src/histogram/release.ts'
import { charge } from '../../src/privacy/ledger.ts'
import { systemRandom } from '../../src/privacy/private-random.ts'

const [folder, work, name = '', count = '1'] = process.argv.slice(2) as [string, string, string?, string?]
const ledger = join(folder, 'ledger.jsonl')
const terms = { dataset: 'people', unit: 'client', adjacency: 'add-remove' } as const
const mechanism = { type: 'gaussian', noiseMultiplier: 20 } as const

if (work === 'charge') {
  for (let i = 0; i < Number(count); i++) {
    const { entry } = await charge(ledger, terms, { run: name, release: `round-${i}`, mechanism })
    writeSync(1, `charged ${entry.hash}\n`)
  }
} else {
  const system = systemRandom()
  let said = false
  await releaseHistogram({
    file: join(folder, 'release.json'),
    ledger,
    terms,
    charge: { run: 'run-2', release: 'round-1', mechanism },
    count: async () =>
      new ExactVotes(2, voteBound({ mode: 'normalised', maxTextsPerClient: 1, neighbours: 1 }), false),
    random: {
      word() {
        // The first word of noise: whoever draws has paid.
        if (!said) writeSync(1, 'drawing\n')
        said = true
        return system.word()
      },
    },
  })
  writeSync(1, 'released\n')
}
