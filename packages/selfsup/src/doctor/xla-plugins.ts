import {
  driverProblem,
  nvidiaSystem,
  PLUGINS,
  thisMachine,
  wheelsFor,
  type NvidiaSystem,
} from '@selfsup/engine-xla/plugins';
import {
  installedPlugins,
  pluginLibrary,
  tryPlugin,
  type InstalledPlugin,
  type Trial,
} from '@selfsup/engine-xla/plugins';
import { gigabytes, type Check } from './check.js';

/** `2 of NVIDIA H100, 80.0 GB each`: devices of a kind together. */
export function devicesText(devices: Extract<Trial, { works: true }>['devices']): string {
  const kinds = new Map<string, number>();
  for (const { name, memoryBytes } of devices) {
    const kind = memoryBytes === null ? name : `${name} with ${gigabytes(memoryBytes)}`;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return [...kinds].map(([kind, count]) => (count === 1 ? kind : `${count} of ${kind}`)).join(', ');
}

/** What became of trying a plugin, as doctor tells it. */
export function pluginCheck(plugin: InstalledPlugin, trial: Trial): Check {
  const { name: plain, version, path, bytes, runtime } = plugin;
  const name = `xla ${plain}`;
  const facts = { plugin: plain, version, path, sizeBytes: bytes, runtime, ...trial };
  if (trial.works) return { name, status: 'ok', says: `${version} on ${devicesText(trial.devices)}`, facts };
  const verdict = trial.reason === 'failed' ? 'does not work' : 'cannot be used here';
  // selfsup trains without it, if slower.
  return { name, status: 'warning', says: `${version} ${verdict}: ${trial.says}`, fix: trial.fix, facts };
}

/** What could be added where there is no plugin: for the GPU that is here, else for the processor. */
export function nothingInstalled(system: NvidiaSystem = nvidiaSystem(), machine = thisMachine()): Check {
  const possible = Object.values(PLUGINS).filter((spec) => wheelsFor(spec, machine).length > 0);
  const gpu = possible.find(({ nvidia }) => nvidia !== undefined && driverProblem(nvidia, system) === undefined);
  const commands = possible.map((spec) => `"selfsup engine add ${spec.name}"`).join(', ');
  const says =
    gpu !== undefined
      ? `an NVIDIA GPU is here and no plugin for it: get it with "selfsup engine add ${gpu.name}"`
      : `no plugin installed, none needed without a GPU${commands === '' ? '' : ` (${commands})`}`;
  return { name: 'xla', status: 'ok', says, facts: { installed: [], possible: possible.map((spec) => spec.name) } };
}

/** Tries every installed plugin, each in a process of its own. */
export async function checkPlugins(plugins = installedPlugins()): Promise<Check[]> {
  if (plugins.length === 0) return [nothingInstalled()];
  const checks: Check[] = [];
  for (const plugin of plugins) {
    const library = pluginLibrary(plugin.name);
    if (library !== undefined) checks.push(pluginCheck(plugin, await tryPlugin(library)));
  }
  return checks;
}
