// Processes that share parts: each part is done once, nobody waits for what another has begun while there is something else.
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { inTurn } from '../../src/compare/in-turn.ts'
import { takeLock } from '../../src/lock.ts'

const parts = ['a/1', 'a/2', 'b/1', 'b/2', 'c']
const folder = () => mkdtemp(join(tmpdir(), 'in-turn-'))
const name = (part: string) => part

describe('inTurn', () => {
  it('has one worker in a part at a time, and gives every worker all results in the order of the parts', async () => {
    const place = await folder()
    const inside = new Set<string>()
    const begun: string[] = []
    const results = new Map<string, string>()
    const worker = (id: string) =>
      inTurn(parts, { folder: place, name }, async (part) => {
        expect(inside.has(part)).toBe(false)
        inside.add(part)
        // As `once` does: what another worker has done is found.
        if (!results.has(part)) {
          begun.push(part)
          await sleep(30)
          // The first waits for a second, which another worker has to begin.
          while (begun.length < 2) await sleep(1)
          results.set(part, `${part} by ${id}`)
        }
        inside.delete(part)
        return results.get(part) as string
      })
    const [first, second, third] = await Promise.all([worker('x'), worker('y'), worker('z')])
    expect(begun.toSorted()).toEqual(parts)
    expect(first).toEqual(second)
    expect(second).toEqual(third)
    expect(first?.map((result) => result.split(' ')[0])).toEqual(parts)
    expect(new Set(first?.map((result) => result.slice(-1))).size).toBeGreaterThan(1)
  })

  it('does what is free before it comes back to what another process has begun', async () => {
    const place = await folder()
    const unlock = await takeLock(place, 'a-1')
    const order: string[] = []
    await inTurn(parts, { folder: place, name }, async (part) => {
      order.push(part)
      // Only now, and after a while: it has to wait.
      if (part === 'c') setTimeout(() => void unlock(), 200)
    })
    expect(order).toEqual(['a/2', 'b/1', 'b/2', 'c', 'a/1'])
  })

  it('stops where a part fails, and leaves that part to others', async () => {
    const place = await folder()
    const failing = inTurn(parts, { folder: place, name }, async (part) => {
      if (part === 'b/1') throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    expect(await inTurn(parts, { folder: place, name }, async (part) => part)).toEqual(parts)
  })

  it('stops waiting when it is told to', async () => {
    const place = await folder()
    const unlock = await takeLock(place, 'a-1')
    const abort = new AbortController()
    setTimeout(() => abort.abort(), 100)
    const waiting = inTurn(['a/1'], { folder: place, name, signal: abort.signal }, async (part) => part)
    await expect(waiting).rejects.toThrow(/abort/i)
    await unlock()
  })
})
