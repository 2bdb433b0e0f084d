import { COMPOSITES, estimateFlops, estimateTraffic, type Graph, traceStep } from '@selfsup/compile';
import { SslError } from '@selfsup/core';
import { compileAhead, GPU_TARGETS, roofline, topologyOptions, WITHOUT_GPU } from '@selfsup/engine-xla';
import {
  findPlugin,
  installedPlugin,
  installedPlugins,
  PLUGINS,
  type PluginLibrary,
} from '@selfsup/engine-xla/plugins';
import { FINITE, recipeOf, type RecipeConfig } from '@selfsup/recipes';
import { enableProdMode } from '@tensorflow/tfjs-core';
import type { Output } from '../terminal/output.js';
import { configFromFlags, type ConfigFlags } from './config-flags.js';

export interface BenchCompileFlags extends ConfigFlags {
  readonly target: keyof typeof GPU_TARGETS;
  readonly devices: number;
  readonly shard?: 'state';
  readonly precision: 'f32' | 'bf16';
  /** Path, or name of an installed one. */
  readonly plugin?: string;
}

/** Bytes of a number in a rounded factor, and in any other. */
const FACTOR_BYTES = { f32: 4, bf16: 2 } as const;

/** NVIDIA's plugin: compiling needs neither a driver nor the runtime libraries. */
function nvidiaPlugin(wanted: string | undefined): PluginLibrary {
  const installed = installedPlugins().find(({ name }) => PLUGINS[name]?.nvidia !== undefined);
  const name = wanted ?? installed?.name ?? 'cuda12';
  return Object.hasOwn(PLUGINS, name) ? findPlugin(name) : { name, path: name, preload: [] };
}

/** A recipe's whole step by its shapes; no array of the batch or the state is made. */
function traced(config: RecipeConfig): Promise<Graph> {
  const { state, frozen, batch, step } = recipeOf(config);
  return traceStep(step, { state: { ...state, ...frozen }, batch, composites: COMPOSITES, name: config.recipe });
}

/** What one of the devices computes: its images, in its share of the groups. */
function shareOf(config: RecipeConfig, devices: number): RecipeConfig {
  if (config.batchSize % devices !== 0) {
    throw new SslError('BAD_OPTION', {
      where: 'selfsup.bench compile',
      expected: `a batch that ${devices} devices divide`,
      got: `${config.batchSize}`,
      fix: `use a --batch-size that ${devices} divides`,
    });
  }
  const groups = config.groups % devices === 0 ? config.groups / devices : 1;
  return { ...config, batchSize: config.batchSize / devices, groups };
}

/** `selfsup bench compile`: a recipe's step compiled for GPUs that need not be here. Nothing runs. */
export async function benchCompile(flags: BenchCompileFlags, output: Output): Promise<void> {
  const { precision, devices } = flags;
  const target = GPU_TARGETS[flags.target];
  const { config } = await configFromFlags(flags);
  if (config.accumulate > 1) {
    throw new SslError('BAD_OPTION', {
      where: 'selfsup.bench compile',
      expected: 'a step in one program',
      got: `accumulate ${config.accumulate}`,
      fix: `use --set accumulate=1, with the --batch-size of one of the parts`,
    });
  }
  if (config.recipe === 'distill') {
    throw new SslError('BAD_OPTION', {
      where: 'selfsup.bench compile',
      expected: 'simdino, dino, simdinov2 or dinov2',
      got: 'distill, whose step depends on a teacher',
      fix: 'compile one of the others',
    });
  }
  const share = shareOf(config, devices);
  const library = nvidiaPlugin(flags.plugin);
  // Tracing needs tfjs's gradients; production mode keeps tfjs from advertising on stderr.
  await import('@selfsup/compile/node');
  enableProdMode();
  const part = await traced(share);
  const graph = devices === 1 ? part : await traced(config);
  output.note(
    `compiling ${config.recipe} ${config.arch}, ${config.batchSize} images on ${devices} x ${target.kind}, ${precision}; this takes minutes`,
  );
  const { memory, compileSeconds, programBytes, attributes } = await compileAhead(graph, {
    plugin: library.path,
    devices,
    state: flags.shard === undefined ? 'replicated' : 'sharded',
    precision,
    commitIf: FINITE,
    topology: topologyOptions(target, devices),
    overrides: WITHOUT_GPU,
  });
  const flops = estimateFlops(part);
  const bf16Flops = precision === 'bf16' ? flops.roundable : 0;
  const bytesAccessed = estimateTraffic(part, FACTOR_BYTES[precision]);
  const bound = roofline({ flops: flops.total, bf16Flops, bytes: bytesAccessed }, target);
  const peak = memory.peak ?? memory.arguments + memory.outputs - memory.aliased + memory.temporary;
  const fits = peak <= target.memoryBytes;
  output.result(
    {
      recipe: config.recipe,
      preset: config.preset,
      arch: config.arch,
      batchSize: config.batchSize,
      groups: config.groups,
      precision,
      target: target.kind,
      devices,
      state: flags.shard === undefined ? 'replicated' : 'sharded',
      compileSeconds,
      programBytes,
      // Of each device:
      peakMemoryBytes: peak,
      memoryBytes: target.memoryBytes,
      fits,
      memory,
      flops: flops.total,
      bf16Flops,
      bytesAccessed,
      rooflineSeconds: bound.seconds,
      limit: bound.limit,
      sources: { memory: "the compiler's", cost: 'estimates from the graph, this plugin counts none' },
      plugin: { name: library.name, version: installedPlugin(library.name)?.version, path: library.path, attributes },
    },
    [
      `${config.recipe} ${config.arch}, ${config.batchSize} images on ${devices} x ${target.kind}, ${precision}: compiled in ${compileSeconds.toFixed(0)} s, never run`,
      `memory of each device  ${gigabytes(peak)} of ${gigabytes(target.memoryBytes)}${fits ? '' : ': DOES NOT FIT'} (the compiler's number)`,
      `arithmetic             ${(flops.total / 1e12).toFixed(2)} TFLOP a device (estimated), ${((100 * bf16Flops) / flops.total).toFixed(0)} % of it products of bfloat16 factors`,
      `memory traffic         at least ${gigabytes(bytesAccessed)} a device (estimated)`,
      `time of a step         at least ${(bound.seconds * 1000).toFixed(1)} ms, set by ${bound.limit}: a lower bound that no program reaches`,
    ].join('\n'),
  );
}

const gigabytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GB`;
