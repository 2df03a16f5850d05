import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Two cores: model tests and fault tests are heavy, so files run two at a time at most.
    maxWorkers: 2,
    // A limit ends what hangs, not what is slow: the longest test takes less than a quarter of it.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    expect: { poll: { timeout: 60_000 } },
  },
})
