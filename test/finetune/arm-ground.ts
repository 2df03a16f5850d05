// What an arm's job needs, in seconds: a Llama that has seen a few of the texts of data/public, clients and validation
// clients from the extract of data/debian.
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Job, JobKind, JobResult, TrainerEvent } from '../../src/finetune/protocol.ts'
import { runJob } from '../../src/finetune/run-job.ts'
import { python, testPython } from '../trainer/python.ts'

const DATA = resolve(import.meta.dirname, '../../data')

const MAKE = `
import json, sys, torch
from transformers import LlamaConfig, LlamaForCausalLM
from pretext_trainer.step import padded
from pretext_trainer.tokens import encode, learn_vocabulary
texts = [json.loads(line)["text"] for line in open(sys.argv[2])][:300]
tokenizer = learn_vocabulary(texts, 500)
torch.manual_seed(0)
torch.set_num_threads(1)
model = LlamaForCausalLM(LlamaConfig(
    vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, head_dim=8, max_position_embeddings=512, tie_word_embeddings=True,
    bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
))
optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
sequences = encode(tokenizer, texts, 32)
for step in range(60):
    ids, labels = padded([sequences[(step * 16 + i) % len(sequences)] for i in range(16)], torch.device("cpu"))
    logits = model(input_ids=ids).logits[:, :-1]
    torch.nn.functional.cross_entropy(logits.transpose(1, 2), labels[:, 1:], ignore_index=-100).backward()
    optimiser.step()
    optimiser.zero_grad()
model.save_pretrained(sys.argv[1])
tokenizer.save_pretrained(sys.argv[1])
`

export interface ArmGround {
  readonly inputs: {
    readonly clients: string
    readonly validation: string
    readonly start: string
    readonly sequenceTokens: number
    readonly seed: number
    readonly device: 'cpu'
    readonly threads: number
  }
  readonly clients: number
  /** A word that is in one of the private texts alone. */
  readonly canary: string
  evaluate(model: string): Promise<{ tokens: number; crossEntropy: number }>
}

export async function runArmJob<K extends JobKind>(
  job: Job<K>,
  onEvent: (event: TrainerEvent) => void = () => {},
  signal?: AbortSignal,
): Promise<JobResult<K>> {
  const env = { ...process.env, OMP_NUM_THREADS: '1' }
  return runJob(job, { python: await testPython(), onEvent, signal, realTexts: true, env })
}

/** `count` clients for training and 20 for validation. */
export async function armGround(count = 40): Promise<ArmGround> {
  const folder = await mkdtemp(join(tmpdir(), 'arm-ground-'))
  const start = join(folder, 'start')
  await writeFile(join(folder, 'make.py'), MAKE)
  const made = await python([join(folder, 'make.py'), start, join(DATA, 'public/texts.jsonl')])
  if (made.code !== 0) throw new Error(made.stderr.slice(-2000))
  const canary = 'zebrafinchquartz4417'
  const write = async (name: string, source: string, most: number, mark: string): Promise<string> => {
    const seen = new Set<string>()
    const rows: string[] = []
    for (const line of (await readFile(join(DATA, 'debian', source), 'utf8')).split('\n')) {
      if (line === '') break
      const { client, text } = JSON.parse(line) as { client: string; text: string }
      if (!seen.has(client) && seen.size === most) break
      seen.add(client)
      rows.push(JSON.stringify({ client, text: rows.length === 0 ? `${mark}${text}` : text }))
    }
    await writeFile(join(folder, name), `${rows.join('\n')}\n`)
    return join(folder, name)
  }
  const validation = await write('validation.jsonl', 'heldout.jsonl', 20, '')
  return {
    inputs: {
      clients: await write('clients.jsonl', 'clients.jsonl', count, `${canary} `),
      validation,
      start,
      sequenceTokens: 32,
      seed: 1,
      device: 'cpu',
      threads: 1,
    },
    clients: count,
    canary,
    async evaluate(model) {
      // The job wants numbers for clients.
      const rows = (await readFile(validation, 'utf8')).split('\n').filter((line) => line !== '')
      const texts = join(folder, 'evaluated.jsonl')
      await writeFile(
        texts,
        rows.map((line) => `${JSON.stringify({ client: 0, text: JSON.parse(line).text })}\n`).join(''),
      )
      const { clients } = await runArmJob<'evaluate-model'>({
        kind: 'evaluate-model',
        model,
        texts,
        sequenceTokens: 32,
        device: 'cpu',
        threads: 1,
      })
      return clients[0] as { tokens: number; crossEntropy: number }
    },
  }
}
