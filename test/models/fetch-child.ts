// A process of its own for tests of two processes, of kill -9 and of a full disk: fetches the model of argv[2] (JSON) and
// prints what came of it; what it notes on the way, at once and on stderr.
import { PretextError } from '../../src/errors.ts'
import type { ModelManifest } from '../../src/models/model.ts'
import { resolveModel } from '../../src/models/store.ts'

// `ulimit -f` also sends a signal, which the lock library would end the process with; a full disk sends none.
process.on('SIGXFSZ', () => {})

const manifest = JSON.parse(process.argv[2] ?? '') as ModelManifest
const notes: string[] = []
try {
  const model = await resolveModel(manifest, {
    onEvent: (event) => {
      if (event.type !== 'note') return
      notes.push(event.message)
      console.error(event.message)
    },
  })
  console.log(JSON.stringify({ source: model.source, sha256: model.files[0]?.sha256, notes }))
} catch (error) {
  if (!(error instanceof PretextError)) throw error
  console.log(JSON.stringify({ code: error.code, message: error.message, hint: error.hint }))
}
