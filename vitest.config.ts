import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** A clean clone does not know how long files take: those of a minute begin first, so that none of them runs alone at the end. */
const LONG = ['tests/chaos.', 'tests/takeover.', 'store.model.', 'tests/import.', 'tests/google-killed.', 'tests/killed.']
class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => LONG.findIndex((name) => moduleId.includes(name)) >>> 0 // none: behind all
    return (await super.sort(files)).sort((a, b) => place(a) - place(b))
  }
}

export default defineConfig({
  test: {
    environment: 'node',
    include: [
      'server/src/**/*.test.ts',
      'simulator/src/**/*.test.ts',
      'tests/**/*.test.ts',
      'scripts/**/*.test.ts',
      'web/src/**/*.test.ts',
    ],
    globalSetup: ['server/src/database/testing/postgres.global.ts'],
    pool: 'forks', // a crash or a leaked handle of one file stays its own
    maxWorkers: 2,
    sequence: { sequencer: LongFirst },
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // In CI a test that leans on the speed of a shared machine gets a second try; the report names it.
    retry: process.env.CI ? 1 : 0,
  },
})
