// The request cache: a completion that was paid for is never paid for again, after a crash or kill -9 neither.
import { openCacheFile, type StoredCompletion } from './cache-file.ts'
import type { LanguageModel } from './model.ts'
import { requestKey } from './request.ts'

/** Answers from the file at `path` what it can; the rest is asked, written down, and only then returned. */
export async function cached(model: LanguageModel, path: string): Promise<LanguageModel> {
  const file = await openCacheFile(path)
  // The same request twice at once is asked once.
  const asking = new Map<
    string,
    { readonly answer: Promise<StoredCompletion>; readonly signal?: AbortSignal }
  >()

  return {
    ...model,
    async complete(request, options = {}) {
      const key = requestKey(model.id, request)
      for (;;) {
        const asked = asking.get(key)
        if (asked === undefined) break
        try {
          return { ...(await asked.answer), cached: true }
        } catch (error) {
          // Whoever asked was told to stop; this one was not, and asks for itself.
          if (!asked.signal?.aborted || options.signal?.aborted) throw error
        }
      }
      let fresh = false
      const answer = (async () => {
        const stored = await file.read(key)
        if (stored !== undefined) return stored
        fresh = true
        const { text, finish, promptTokens, completionTokens } = await model.complete(request, options)
        const completion = { text, finish, promptTokens, completionTokens }
        await file.append(key, completion)
        return completion
      })()
      asking.set(key, { answer, ...options })
      try {
        const completion = await answer
        return { ...completion, cached: !fresh }
      } finally {
        asking.delete(key)
      }
    },
    async dispose() {
      await Promise.allSettled([...asking.values()].map(({ answer }) => answer))
      await file.close()
      await model.dispose()
    },
  }
}
