// A server that speaks the OpenAI API and answers as a GPU does: up to `slots` requests together, each at `tokensPerSecond`,
// further ones in a queue. It stands in for a real one where none can run: what it shows is how well a client fills it.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const [slots = '64', tokensPerSecond = '100'] = process.argv.slice(2)
const queue: (() => void)[] = []
let busy = 0

async function slot(ms: number): Promise<void> {
  if (busy === Number(slots)) await new Promise<void>((go) => queue.push(go))
  else busy++
  await new Promise((done) => setTimeout(done, ms))
  const next = queue.shift()
  if (next === undefined) busy--
  else next()
}

const server = createServer(async (incoming, response) => {
  let text = ''
  for await (const chunk of incoming) text += chunk
  const { max_tokens: tokens } = JSON.parse(text) as { max_tokens: number }
  await slot((1000 * tokens) / Number(tokensPerSecond))
  const usage = { prompt_tokens: 100, completion_tokens: tokens }
  const choices = [{ index: 0, finish_reason: 'length', text: 'word '.repeat(tokens) }]
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ choices, usage }))
})
server.listen(0, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`)
})
