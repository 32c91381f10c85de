// Two projects: `fast` needs no services and ends in seconds; `services` runs over one Postgres and one Temporal
// server that test/support/global-setup.ts starts for all of its files.
import { defineConfig } from 'vitest/config';

const fast = ['domain', 'stats', 'ml', 'adapters', 'contract', 'lint', 'types', 'docs', 'histories'];
const fastFiles = fast.map((folder) => `test/${folder}/**/*.test.ts`);
const never = ['node_modules/**', 'dist/**', '**/.perennial*/**'];

/** test/run.mjs names a folder; each run of vitest leaves its counts there. */
const reports = process.env['PERENNIAL_TEST_REPORTS'];

export default defineConfig({
  test: {
    maxWorkers: 2,
    reporters: reports ? ['default', ['json', { outputFile: `${reports}/${process.pid}.json` }]] : ['default'],
    teardownTimeout: 60_000,
    projects: [
      {
        test: {
          name: 'fast',
          include: fastFiles,
          exclude: never,
          pool: 'forks',
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'services',
          include: ['test/**/*.test.ts'],
          exclude: [...never, ...fastFiles],
          pool: 'forks',
          testTimeout: 60_000,
          hookTimeout: 120_000,
          globalSetup: ['test/support/global-setup.ts'],
        },
      },
    ],
  },
});
