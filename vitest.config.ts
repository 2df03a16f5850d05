import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/**
 * One worker makes the trainer's Python environment, which takes two minutes; what needs it comes when the other has done what
 * needs none.
 */
class EnvironmentFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const turn = ({ moduleId }: TestSpecification): number => {
      if (moduleId.endsWith('finetune/environment.test.ts')) return 0
      if (/\/test\/(federation|privacy)\//.test(moduleId)) return 1
      return /\/test\/(compare|finetune|trainer|evaluate)\//.test(moduleId) ? 2 : 3
    }
    return (await super.sort(files)).toSorted((a, b) => turn(a) - turn(b))
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Two cores: model tests and fault tests are heavy, so files run two at a time at most.
    maxWorkers: 2,
    sequence: { sequencer: EnvironmentFirst },
    // A limit ends what hangs, not what is slow: the longest test takes less than a quarter of it.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    expect: { poll: { timeout: 60_000 } },
  },
})
