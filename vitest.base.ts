import { defineConfig, type ViteUserConfig } from 'vitest/config';

/** Shared test settings: packages are read from their sources (custom condition), one file at a time on small machines. */
export function packageTests(extra: NonNullable<ViteUserConfig['test']> = {}): ViteUserConfig {
  return defineConfig({
    resolve: { conditions: ['@selfsup/source'] },
    ssr: { resolve: { conditions: ['@selfsup/source'], externalConditions: ['@selfsup/source'] } },
    test: {
      include: ['test/**/*.test.ts'],
      testTimeout: 120_000,
      hookTimeout: 120_000,
      pool: 'forks',
      maxWorkers: 2,
      ...extra,
    },
  });
}
