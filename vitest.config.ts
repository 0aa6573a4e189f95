import { defineConfig } from 'vitest/config'

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
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // In CI a test that leans on the speed of a shared machine gets a second try; the report names it.
    retry: process.env.CI ? 1 : 0,
  },
})
