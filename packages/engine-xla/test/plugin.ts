import { nothingMayBeMissing } from '@selfsup/test-kit';
import { pluginLibrary } from '../src/plugins/index.js';

let reported = false;

/**
 * Path of XLA's CPU plugin: `SELFSUP_XLA_CPU_PLUGIN`, else where `selfsup engine add cpu` puts it. Undefined, with a
 * printed reason, when there is none; an error where nothing may be missing (CI=true).
 */
export function cpuPlugin(): string | undefined {
  const path = process.env['SELFSUP_XLA_CPU_PLUGIN'] ?? pluginLibrary('cpu')?.path;
  if (path !== undefined) return path;
  const reason =
    'no XLA CPU plugin: get it with "selfsup engine add cpu", or set SELFSUP_XLA_CPU_PLUGIN to its shared library';
  if (nothingMayBeMissing) throw new Error(reason);
  if (!reported) console.info(`skipped: ${reason}`);
  reported = true;
  return undefined;
}
