import {
  addPlugin,
  architecturesOf,
  downloadSize,
  installedPlugins,
  pluginLibrary,
  PLUGINS,
  removePlugin,
  sizeText,
  thisMachine,
  tryPlugin,
  wheelsFor,
  type InstalledPlugin,
  type RuntimeSource,
  type Trial,
} from '@selfsup/engine-xla/plugins';
import { findingsText } from '../doctor/findings.js';
import { ReportedFailure } from '../doctor/reported-failure.js';
import { devicesText, pluginCheck } from '../doctor/xla-plugins.js';
import { EXIT } from '../terminal/exit-codes.js';
import type { Output } from '../terminal/output.js';
import { withInterrupt } from './interrupt.js';

export interface EngineAddFlags {
  readonly name: string;
  /** False with `--no-runtime`. */
  readonly runtime: Exclude<RuntimeSource, 'none'> | 'auto' | false;
  readonly wheel?: readonly string[];
}

/** A plugin and what became of trying it, for programs. */
function pluginJson({ name, version, path, bytes, runtime }: InstalledPlugin, trial: Trial): Record<string, unknown> {
  return { name, version, path, sizeBytes: bytes, runtime, ...trial };
}

/** stderr: where people see how far a download is. */
const STDERR = 2;

/** `selfsup engine add`: gets a plugin, tries it and lists its devices. */
export async function engineAdd({ name, runtime, wheel }: EngineAddFlags, output: Output): Promise<void> {
  const work = async (signal: AbortSignal): Promise<{ plugin: InstalledPlugin; trial: Trial }> => {
    const added = await addPlugin(name, {
      runtime: runtime === false ? 'none' : runtime,
      wheels: wheel ?? [],
      note: (line) => output.note(line),
      pipOutput: STDERR,
      signal,
    });
    const library = pluginLibrary(name) ?? { name, path: added.path, preload: [] };
    return { plugin: added, trial: await tryPlugin(library, { signal }) };
  };
  const { plugin, trial } = await withInterrupt(output, work, 'stopping; nothing is left behind');
  // Something this machine lacks does not make the plugin a bad one: it may be meant for another time or place.
  const broken = !trial.works && trial.reason === 'failed';
  const found = `${plugin.name} ${plugin.version} in ${plugin.folder} (${sizeText(plugin.bytes)})`;
  const error = broken ? { error: { code: 'ENGINE_FAILED', message: trial.says, details: { fix: trial.fix } } } : {};
  output.result(
    { ...pluginJson(plugin, trial), ...error },
    trial.works
      ? `${found}\ndevices: ${devicesText(trial.devices)}`
      : `${found}\n${broken ? 'it does not work' : 'it cannot be used here'}: ${trial.says}\nFix: ${trial.fix}.`,
  );
  if (broken) throw new ReportedFailure(EXIT.failed);
}

const WIDEST = 100;

/** `selfsup engine list`: plugins in the cache with their devices, and those that could be added. */
export async function engineList(_flags: unknown, output: Output): Promise<void> {
  const installed = installedPlugins();
  const tried: { plugin: InstalledPlugin; trial: Trial }[] = [];
  for (const plugin of installed) {
    const library = pluginLibrary(plugin.name);
    if (library !== undefined) tried.push({ plugin, trial: await tryPlugin(library) });
  }
  const machine = thisMachine();
  const available = Object.values(PLUGINS).map((spec) => ({
    name: spec.name,
    description: spec.description,
    version: spec.version,
    ...downloadSize(wheelsFor(spec, machine)),
    fitsThisMachine: wheelsFor(spec, machine).length > 0,
    installed: installed.find(({ name }) => name === spec.name)?.version ?? null,
  }));
  const columns = Math.min(WIDEST, process.stdout.columns || WIDEST);
  const checks = tried.map(({ plugin, trial }) => {
    const check = pluginCheck(plugin, trial);
    return { ...check, name: plugin.name, says: `${sizeText(plugin.bytes)}, ${check.says}` };
  });
  const toAdd = available
    .filter((spec) => spec.installed !== spec.version)
    .map((spec) => {
      const runtime = spec.runtimeBytes > 0 ? ` and ${sizeText(spec.runtimeBytes)} of runtime libraries` : '';
      const size = spec.fitsThisMachine
        ? `${sizeText(spec.downloadBytes)}${runtime}`
        : `not for this machine: Linux ${architecturesOf(PLUGINS[spec.name])} only`;
      return `selfsup engine add ${spec.name.padEnd(8)}${spec.description}: ${size}`;
    });
  output.result(
    { plugins: tried.map(({ plugin, trial }) => pluginJson(plugin, trial)), available },
    [...(checks.length === 0 ? ['no plugin installed'] : [findingsText(checks, columns)]), ...toAdd].join('\n'),
  );
}

/** `selfsup engine remove`. */
export async function engineRemove({ name }: { readonly name: string }, output: Output): Promise<void> {
  const { version, folder, bytes } = await removePlugin(name);
  output.result(
    { name, version, removed: folder, freedBytes: bytes },
    `removed ${name} ${version} (${sizeText(bytes)})`,
  );
}
