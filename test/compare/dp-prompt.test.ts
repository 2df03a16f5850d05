// DP-Prompt: the mechanism that draws a token is as private as it says, and a run of it says what it really used.
import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { armGround, runArmJob } from '../finetune/arm-ground.ts'
import { python } from '../trainer/python.ts'

const CHECK = `
import torch
from pretext_trainer.dp_prompt import Exponential, epsilon_of, temperature_for
torch.manual_seed(0)
low, high, tokens, epsilon = -3.0, 7.0, 12, 5.0
draw = Exponential(low, high, temperature_for(epsilon, tokens, low, high))
worst = 0.0
scores = [torch.randn(1, 300) * 10 ** k for k in (-1, 0, 1, 2)]
# The worst case: all mass at one end against all at the other, with one token the other way round.
flip = torch.full((1, 300), low); flip[0, 0] = high
scores += [flip, -flip + low + high, torch.full((1, 300), float("nan")), torch.full((1, 300), float("inf"))]
for a in scores:
    for b in scores:
        ratio = torch.log_softmax(draw(None, a).double(), -1) - torch.log_softmax(draw(None, b).double(), -1)
        worst = max(worst, float(ratio.abs().max()))
print(worst * tokens, epsilon_of(draw.temperature, tokens, low, high))
`

describe('dp-prompt', () => {
  it('no two texts make a token more than its share of epsilon likelier', async () => {
    const { code, stdout, stderr } = await python(['-c', CHECK])
    expect(code, stderr).toBe(0)
    const [worst = 0, claimed = 0] = stdout.trim().split(' ').map(Number)
    expect(claimed).toBeCloseTo(5, 9)
    expect(worst).toBeLessThanOrEqual(claimed + 1e-6)
    // The bound is nearly reached, so that less noise would be seen here.
    expect(worst).toBeGreaterThan(0.9 * claimed)
  })

  it('rewrites each text within its epsilon, and goes on to the same corpus', async () => {
    const { inputs } = await armGround()
    const out = join(await mkdtemp(join(tmpdir(), 'dp-prompt-')), 'out')
    const job = {
      kind: 'dp-prompt',
      out,
      clients: inputs.clients,
      model: { from: 'folder', model: inputs.start },
      prompt: 'Text: {text}\nRewritten:',
      epsilon: 200,
      low: -4,
      high: 8,
      tokens: 6,
      inputTokens: 16,
      textsPerClient: 1,
      device: 'cpu',
      threads: 1,
    } as const
    const result = await runArmJob<'dp-prompt'>(job)
    expect(result.epsilonPerText).toBeCloseTo(200, 9)
    expect(result.temperature).toBeCloseTo((2 * 6 * 12) / 200, 9)
    expect(result.texts).toBeGreaterThan(result.clients / 2)
    expect(result.clientFlops).toBeGreaterThan(0)
    const corpus = await readFile(result.corpus, 'utf8')
    const again = await runArmJob<'dp-prompt'>({ ...job, resume: true })
    expect(await readFile(again.corpus, 'utf8')).toBe(corpus)
    expect(again.llmTokens).toBe(result.llmTokens)
  })
})
