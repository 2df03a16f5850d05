// The grammar of the scripted model: a walk over the word pairs of the texts in the prompt (a Markov chain of order one),
// with words of its own thrown in as the temperature rises. What it writes lies near its examples in a lexical embedding,
// so that an evolution on the hashing embedder moves towards its survivors; without examples it writes about the topic.
import { createHash } from 'node:crypto'
import { type Random, seededRandom } from '../random.ts'
import type { CompletionRequest } from './model.ts'
import { asPrompt } from './request.ts'

const FEWEST_WORDS = 10
const MOST_WORDS = 24
/** Share of words of its own at temperature 1. */
const OWN_WORDS = 0.08

const SUBJECTS =
  'the team,a reader,my sister,the library,our teacher,the company,a small group,this tool,the city'
const VERBS = 'explains,changes,compares,supports,describes,collects,improves,replaces,follows,questions'
const OBJECTS =
  'the old rules,a simple plan,new ideas,the whole story,every detail,a long list,the open questions,its own records'
const PLACES =
  'in the morning,near the river,without any trouble,for the first time,after a short break,at work'
const OWN =
  'also,often,quickly,new,small,several,better,open,good,simple,daily,local,early,useful,quiet,bright'
const list = (words: string): string[] => words.split(',')

/** One text on one line, for any prompt; the same for the same request. */
export function recombine(request: CompletionRequest): string {
  const random = seededRandom(seedOf(request), 'scripted')
  const { examples, topic, beginning } = readPrompt(asPrompt(request.input))
  const ownShare = Math.min(0.5, OWN_WORDS * request.sampling.temperature)
  if (examples.length === 0) return sentence(topic, random)
  const blanks = examples.findLast((example) => /(?:^|\s)_(?=\s|$)/.test(example))
  const vocabulary = examples.flatMap(wordsOf)
  if (blanks !== undefined) return fillBlanks(blanks, vocabulary, random)
  return walk(examples, beginning, ownShare, random)
}

/** What the shipped prompts hold: lines of text are examples, headings and instructions are not. */
function readPrompt(prompt: string) {
  const lines = prompt.split('\n').map((line) => line.trim())
  const examples = lines
    .map((line) => line.replace(/^(?:Text|Blanks|\d+[.:)])\s*:?\s+/, ''))
    .filter((line) => wordsOf(line).length >= 4 && !INSTRUCTION.test(line))
  const topic = /\babout ([^.,:\n]+)/i.exec(prompt)?.[1]
  // A completion prompt that ends in the middle of a line wants that line continued.
  const last = lines.at(-1) ?? ''
  const beginning = examples.length > 0 && last !== '' && !HEADING.test(last) ? wordsOf(last) : []
  return { examples, topic, beginning }
}

const INSTRUCTION =
  /^(?:List of|A text|You |Write |Answer |Rewrite |Fill in|Continue |Original text sample|About\b)|[^.!?]:$/i
const HEADING = /:$|\bsample\b.{0,8}$|^\W*\d+\W*$/i

function wordsOf(text: string): string[] {
  return text.match(/\S+/g)?.filter((word) => word !== '_') ?? []
}

/** From word to a word that followed it in some example, jumping where a word was the last of all. */
function walk(examples: readonly string[], beginning: readonly string[], ownShare: number, random: Random) {
  const followers = new Map<string, string[]>()
  const starts: string[] = []
  for (const words of examples.map(wordsOf)) {
    starts.push(words[0] as string)
    words.forEach((word, i) => {
      const next = words[i + 1]
      if (next === undefined) return
      const known = followers.get(bare(word))
      if (known === undefined) followers.set(bare(word), [next])
      else known.push(next)
    })
  }
  const all = examples.flatMap(wordsOf)
  const length = FEWEST_WORDS + random.integer(MOST_WORDS - FEWEST_WORDS + 1)
  const written: string[] = []
  let word = beginning.at(-1) ?? random.pick(starts)
  if (beginning.length === 0) written.push(word)
  while (written.length < length) {
    if (random.next() < ownShare) written.push(random.pick(list(OWN)))
    word = random.pick(followers.get(bare(word)) ?? all)
    written.push(word)
  }
  const text = written.join(' ').replace(/[,;:.!?]+$/, '')
  return `${beginning.length === 0 ? capitalised(text) : ` ${text}`}.`
}

function fillBlanks(text: string, vocabulary: readonly string[], random: Random): string {
  return text.replace(/(^|\s)_(?=\s|$)/g, (_blank, space: string) => {
    const word = vocabulary.length === 0 ? random.pick(list(OWN)) : random.pick(vocabulary)
    return `${space}${bare(word)}`
  })
}

function sentence(topic: string | undefined, random: Random): string {
  const [subject, verb, object, place] = [SUBJECTS, VERBS, OBJECTS, PLACES].map((words) =>
    random.pick(list(words)),
  )
  const about = topic === undefined ? '' : ` about ${topic}`
  const own = random.sample(list(OWN), 2).join(' and ')
  return `${capitalised(`${subject} ${verb} ${object}${about} ${place}`)}, and the result is ${own}.`
}

function bare(word: string): string {
  return word.toLowerCase().replace(/[^\p{L}\p{N}'-]/gu, '')
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** Everything that may change the answer, and nothing else. */
function seedOf({ input, sampling, seed }: CompletionRequest): number {
  const hash = createHash('sha256').update(JSON.stringify([asPrompt(input), sampling.temperature, seed]))
  return hash.digest().readUInt32LE(0)
}
