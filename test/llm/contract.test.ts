// The contract, by the scripted model and by both remote providers against a local server. llama.test.ts has the fourth.
import { afterAll, beforeAll, describe } from 'vitest'
import { createHuggingFaceModel } from '../../src/llm/huggingface.ts'
import { createOpenAiCompatibleModel } from '../../src/llm/openai-compatible.ts'
import { createScriptedModel } from '../../src/llm/scripted.ts'
import { keepsTheContract } from './contract.ts'
import { KEY, startServer, type TestServer } from './server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

const env = { OPENAI_API_KEY: KEY, HF_TOKEN: KEY }

describe('scripted', () => keepsTheContract(async () => createScriptedModel()))

for (const api of ['chat', 'completions'] as const) {
  describe(`openai-compatible, ${api}`, () =>
    keepsTheContract(() =>
      createOpenAiCompatibleModel({ model: 'small', baseUrl: server.baseUrl, api, env }),
    ))
  describe(`hugging face endpoint, ${api}`, () =>
    keepsTheContract(() =>
      createHuggingFaceModel({ model: 'org/small', endpointUrl: server.baseUrl, api, env }),
    ))
}
