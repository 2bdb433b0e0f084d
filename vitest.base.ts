import { basename, join } from 'node:path';
import { defineConfig, type ViteUserConfig } from 'vitest/config';

/** Folder for machine-readable results, one file per package; `.ci/run` adds them up. */
const reports = process.env['SELFSUP_TEST_REPORTS'];

/** Shared test settings: packages are read from their sources (custom condition), one file at a time on small machines. */
export function packageTests(extra: NonNullable<ViteUserConfig['test']> = {}): ViteUserConfig {
  const report = reports && join(reports, `${basename(process.cwd())}.json`);
  return defineConfig({
    resolve: { conditions: ['@selfsup/source'] },
    ssr: { resolve: { conditions: ['@selfsup/source'], externalConditions: ['@selfsup/source'] } },
    test: {
      include: ['test/**/*.test.ts'],
      // Golden fixtures of larger sizes take minutes on tfjs in plain JavaScript, more so where others compute too.
      testTimeout: 900_000,
      hookTimeout: 900_000,
      pool: 'forks',
      maxWorkers: 2,
      reporters: report ? ['default', ['json', { outputFile: report }]] : ['default'],
      ...extra,
    },
  });
}
