// A server that speaks the chat API and answers at once, with sentences of words that a seed draws: what a round costs beside
// its language model. It prints its address, and how many requests it had when its input ends.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { seededRandom } from '../src/random.ts'

const WORDS =
  'library package tool server client network image sound parser module font game editor kernel archive script python java support format data file system user interface command line simple fast small common standard protocol documentation development files shared contains provides which allows with from into over many text mail window manager'.split(
    ' ',
  )
let requests = 0

const server = createServer(async (incoming, response) => {
  for await (const _ of incoming);
  const random = seededRandom(requests++)
  const words = Array.from({ length: 15 + random.integer(30) }, () => random.pick(WORDS))
  const content = `This ${words.join(' ')}.`
  const usage = { prompt_tokens: 30, completion_tokens: words.length + 3 }
  const choices = [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content } }]
  const answer = { id: 'x', object: 'chat.completion', created: 0, model: 'model', choices, usage }
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
})
server.listen(0, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`)
})
process.stdin.resume().on('end', () => {
  console.log(requests)
  process.exit()
})
