import type { Graph } from '@selfsup/compile';
import { emitStableHlo, type EmitOptions } from './emit/program.js';
import { severalGpus } from './gpu-target.js';
import { Topology } from './pjrt/ahead-of-time.js';
import type { OptionOverride } from './pjrt/compile-options.js';
import type { NamedValues } from './pjrt/named-values.js';
import { Plugin } from './pjrt/plugin.js';
import type { ProgramMemory } from './pjrt/program.js';
import { preloadLibraries } from './plugins/preload.js';

/** Options of {@link compileAhead}. */
export interface AheadOptions extends Pick<EmitOptions, 'devices' | 'state' | 'precision' | 'commitIf'> {
  /** Path of a plugin that compiles for devices it does not have. */
  readonly plugin: string;
  readonly preload?: readonly string[];
  /** What tells the plugin about the devices, e.g. `topologyOptions(GPU_TARGETS.h100, 8)`. */
  readonly topology: NamedValues;
  /** XLA's debug options by name. */
  readonly overrides?: Readonly<Record<string, OptionOverride>>;
}

/** What a compiler says about a graph on devices that are not here. */
export interface AheadReport {
  /** Memory on each device. */
  readonly memory: ProgramMemory;
  /** Time it took to compile. */
  readonly compileSeconds: number;
  /** Size of the compiled program. */
  readonly programBytes: number;
  /** The plugin's attributes, its versions among them. */
  readonly attributes: NamedValues;
}

/**
 * Compiles a graph for devices that are not here: shows that it compiles, and what memory it needs there. Nothing runs.
 *
 * @throws SslError `ENGINE_FAILED` with the compiler's words, `OUT_OF_MEMORY`, `UNSUPPORTED` for a plugin that cannot
 *
 * @example
 * const target = GPU_TARGETS.h100;
 * const { memory } = await compileAhead(graph, {
 *   plugin, devices: 8, topology: topologyOptions(target, 8), overrides: WITHOUT_GPU,
 * });
 */
export async function compileAhead(graph: Graph, options: AheadOptions): Promise<AheadReport> {
  const { plugin: path, preload = [], topology: description, overrides, ...how } = options;
  const { text, devices } = emitStableHlo(graph, how);
  await preloadLibraries(preload);
  const plugin = await Plugin.load(path);
  const topology = await Topology.create(plugin, '', description);
  try {
    const began = performance.now();
    const program = await topology.compile(text, { devices, overrides: { ...severalGpus(devices), ...overrides } });
    try {
      const compileSeconds = (performance.now() - began) / 1000;
      const { length: programBytes } = await program.serialize();
      return { memory: program.memory(), compileSeconds, programBytes, attributes: plugin.attributes };
    } finally {
      program.dispose();
    }
  } finally {
    topology.dispose();
  }
}
