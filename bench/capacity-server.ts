// A server that speaks the OpenAI API and answers as a GPU does: up to `slots` requests together, each at `tokensPerSecond`,
// further ones in a queue; a token takes `slower` ms more for each request at work (an H200: 2048 286 0.0096). It stands in for a real one where none can run: what it shows is how well a client fills it.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const [slots = '64', tokensPerSecond = '100', slower = '0'] = process.argv.slice(2)
/** Tokens after which the time of one is looked at anew. */
const STRETCH = 16
const queue: (() => void)[] = []
let busy = 0

async function slot(tokens: number): Promise<void> {
  if (busy === Number(slots)) await new Promise<void>((go) => queue.push(go))
  else busy++
  for (let left = tokens; left > 0; left -= STRETCH) {
    const ms = 1000 / Number(tokensPerSecond) + Number(slower) * busy
    await new Promise((done) => setTimeout(done, Math.min(left, STRETCH) * ms))
  }
  const next = queue.shift()
  if (next === undefined) busy--
  else next()
}

const server = createServer(async (incoming, response) => {
  let text = ''
  for await (const chunk of incoming) text += chunk
  const { max_tokens: tokens } = JSON.parse(text) as { max_tokens: number }
  await slot(tokens)
  const usage = { prompt_tokens: 100, completion_tokens: tokens }
  const choices = [{ index: 0, finish_reason: 'length', text: 'word '.repeat(tokens) }]
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ choices, usage }))
})
server.listen(0, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`)
})
