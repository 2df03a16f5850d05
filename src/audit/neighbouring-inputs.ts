// Two neighbouring inputs of the noise path: made-up clients, and the same with one worst-case client more (add-remove) or
// elsewhere (substitution). Candidates lie in pairs of cells; a cell is what one worst-case client votes for at once.
//
// Many audits in one release: the worst-case client of each pair votes in its own pair only, and noise is drawn for each
// candidate by itself and before the sums are looked at. So what is seen of one pair is distributed exactly as in a release
// where that pair's client is the only difference, and the pairs of a release are independent trials. Both premises are
// what the path promises, and the attacks of `attacks.ts` that compare candidates and releases see when they do not hold.
import type { VoteBound, VoteOptions } from '../histogram/bound.ts'
import type { clip, Vote } from '../histogram/clip.ts'
import type { Adjacency } from '../privacy/units.ts'
import { seededRandom } from '../random.ts'

/** Is the worst-case client there or not; under substitution it is in both, in different cells. */
export type World = 'without' | 'with'

export interface NeighbouringInputs {
  readonly candidates: number
  /** Candidates of one cell. */
  readonly cellSize: number
  readonly pairs: number
  /** Votes that everybody else gives to each cell, in grid steps: the attacker knows all clients but one. */
  readonly known: Float64Array
  /** What the worst-case client adds to its cell, in grid steps. */
  readonly shift: number
  votes(world: World, round: number): readonly Vote[]
}

const CANDIDATES = 1024
const FEWEST_PAIRS = 8
const OTHERS = 8
/** The worst-case client has so many times the texts that it may use: the clip has to hold it. */
const EXCESS = 4

export function neighbouringInputs(
  {
    vote,
    bound,
    adjacency,
  }: { readonly vote: VoteOptions; readonly bound: VoteBound; readonly adjacency: Adjacency },
  clipVote: typeof clip,
): NeighbouringInputs {
  const cellSize = vote.mode === 'multihot' ? Number(bound.squared) : vote.neighbours
  const pairs = Math.max(FEWEST_PAIRS, Math.floor(CANDIDATES / (2 * cellSize)))
  const candidates = 2 * pairs * cellSize
  const others = otherClients(candidates, vote).map((counts) => clipVote(counts, vote, bound))
  const known = new Float64Array(2 * pairs)
  for (const { indices, steps } of others) {
    indices.forEach((candidate, i) => {
      const cell = Math.floor(candidate / cellSize)
      known[cell] = (known[cell] as number) + Number(steps[i])
    })
  }
  const worst = Array.from({ length: 2 * pairs }, (_, cell) => {
    const counts = new Map<number, number>()
    for (let i = 0; i < cellSize; i++) counts.set(cell * cellSize + i, EXCESS * vote.maxTextsPerClient)
    return clipVote(counts, vote, bound)
  })
  // By world and parity of the round: the client changes its cell from round to round.
  const [even, odd] = [0, 1].map((parity) => worst.filter((_, cell) => cell % 2 === parity)) as [
    Vote[],
    Vote[],
  ]
  const sets = {
    with: [
      [...others, ...even],
      [...others, ...odd],
    ],
    without:
      adjacency === 'add-remove'
        ? [others, others]
        : [
            [...others, ...odd],
            [...others, ...even],
          ],
  }
  return {
    candidates,
    cellSize,
    pairs,
    known,
    shift: (worst[0] as Vote).steps.reduce((sum, s) => sum + Number(s), 0),
    votes: (world, round) => sets[world][round % 2] as readonly Vote[],
  }
}

/** A few clients with texts here and there, the same in every audit. */
function otherClients(candidates: number, vote: VoteOptions): Map<number, number>[] {
  const random = seededRandom(0, 'audit', 'others')
  return Array.from({ length: OTHERS }, () => {
    const counts = new Map<number, number>()
    for (let i = 0; i < vote.maxTextsPerClient * vote.neighbours; i++) {
      const candidate = random.integer(candidates)
      counts.set(candidate, (counts.get(candidate) ?? 0) + 1)
    }
    return counts
  })
}
