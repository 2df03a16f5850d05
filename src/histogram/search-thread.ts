// A thread with an exact search of its own (exact.ts): takes the candidates when asked, and finds the nearest.
import type { Matrix } from '../embeddings/matrix.ts'
import { answerQuestions } from '../thread.ts'
import type { Distance } from './neighbours.ts'
import { createSearch, type Search } from './search.ts'

export type SearchQuestion =
  | { readonly type: 'candidates'; readonly candidates: Matrix; readonly distance: Distance }
  | { readonly type: 'find'; readonly queries: Matrix; readonly k: number }

let search: Search | undefined

async function answer(question: SearchQuestion): Promise<Int32Array | undefined> {
  if (question.type === 'find') {
    if (search === undefined) throw new RangeError('expected candidates before queries')
    return search.find(question.queries, question.k)
  }
  search = await createSearch(question.candidates, question.distance)
  return undefined
}

answerQuestions(answer)
