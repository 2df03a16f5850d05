// Exact counts are for the owner's eyes: shown by one function, and by nothing else.
import { describe, expect, it } from 'vitest'
import { formatOwnerCounts, OwnerCounts } from '../../src/texts/terminal.ts'

const none = { rows: 3, badRows: 0, tooShort: 0, otherLabel: 0, clipped: 0, texts: 3, clients: 2 }

describe('formatOwnerCounts', () => {
  it('says what was read and what was left out, where something was', () => {
    expect(formatOwnerCounts(new OwnerCounts(none))).toBe('3 rows: 3 texts of 2 clients')
    const counts = {
      rows: 1234,
      badRows: 2,
      tooShort: 30,
      otherLabel: 4,
      clipped: 5,
      texts: 1198,
      clients: 77,
    }
    expect(formatOwnerCounts(new OwnerCounts(counts))).toBe(
      '1,234 rows: 1,198 texts of 77 clients; left out: 2 bad rows, 30 too short, 4 with a label that is not in the list; clipped: 5',
    )
  })

  it('keeps its own copy of the counts', () => {
    const counts = { ...none }
    const report = new OwnerCounts(counts)
    counts.texts = 9
    expect(report.revealToOwner().texts).toBe(3)
    expect(JSON.stringify({ report })).toBe('{"report":"[OwnerCounts]"}')
  })
})
