import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { enableProdMode } from '@tensorflow/tfjs-core';
import { nearestName, SslError } from '@selfsup/core';
import type { Engine } from '@selfsup/compile';

/** Engines by name; loaded on first use, so that a command pays only for what it runs. */
const ENGINES = ['onnxruntime', 'tfjs', 'xla'] as const;
export type EngineName = (typeof ENGINES)[number];

/** tfjs backends that come along; others (webgpu, node, node-gpu) must be installed and imported by the user. */
const DEFAULT_BACKEND = 'cpu';

export interface EngineChoice {
  /**
   * `auto`: what other flags ask for, else xla where a plugin for a GPU here works, else onnxruntime. An engine asked
   * for by name is never replaced by another.
   */
  readonly engine?: string | undefined;
  /** tfjs backend, for `tfjs` only. */
  readonly backend?: string | undefined;
  readonly threads?: number | undefined;
  /** Path of a plugin, or name of an installed one; for `xla` only, like what follows. */
  readonly plugin?: string | undefined;
  /** Devices to split the batch over. */
  readonly devices?: number | undefined;
  /** `state`: split the state over the devices as well. */
  readonly shard?: 'state' | undefined;
  /** Factors of matrix products; `f32` is what every engine does. */
  readonly precision?: 'f32' | 'bf16' | undefined;
}

/** Flags that only one engine understands. */
const FLAGS = { tfjs: ['backend'], xla: ['plugin', 'devices', 'shard', 'precision'] } as const;

/** The engine that the flags name or stand for; undefined when it is up to us. */
function namedEngine({ engine = 'auto', precision, ...others }: EngineChoice): string | undefined {
  const choice = { ...others, precision: precision === 'f32' ? undefined : precision };
  let name = engine === 'auto' ? undefined : engine;
  for (const [only, flags] of Object.entries(FLAGS)) {
    const given = flags.find((flag) => choice[flag] !== undefined);
    if (given === undefined) continue;
    name ??= only;
    if (name === only) continue;
    throw new SslError('BAD_OPTION', {
      where: 'selfsup.engine',
      expected: `--${given} together with --engine ${only}`,
      got: `--engine ${name} --${given} ${choice[given]}`,
      fix: `leave --${given} out, or add --engine ${only}`,
    });
  }
  return name;
}

/** A word that is neither a plugin's name nor a file is a misspelt name; what is wrong with a path, the engine says. */
function checkPluginName(plugin: string, known: readonly string[]): void {
  if (!/^[\w-]+$/.test(plugin) || existsSync(plugin)) return;
  const near = nearestName(plugin, known);
  throw new SslError('ENGINE_MISSING', {
    where: 'selfsup.engine',
    expected: `--plugin with the path of a PJRT plugin, or one of ${known.join(', ')}`,
    got: `"${plugin}"`,
    fix: near === undefined ? 'see "selfsup engine list"' : `did you mean "${near}"`,
    details: { plugin, known },
  });
}

/** XLA through the plugin asked for, or the best installed one. */
async function xla({ plugin = 'auto', devices, shard, threads, precision }: EngineChoice): Promise<Engine> {
  const [{ xlaEngine }, { cacheDirectory, findPlugin, PLUGINS }] = await Promise.all([
    import('@selfsup/engine-xla'),
    import('@selfsup/engine-xla/plugins'),
  ]);
  const isName = plugin === 'auto' || Object.hasOwn(PLUGINS, plugin);
  if (!isName) checkPluginName(plugin, Object.keys(PLUGINS));
  const { path, preload } = isName ? findPlugin(plugin) : { path: plugin, preload: [] };
  return xlaEngine({
    plugin: path,
    preload,
    cache: join(cacheDirectory(), 'programs'),
    ...(devices === undefined ? {} : { devices }),
    ...(threads === undefined ? {} : { threads }),
    ...(precision === undefined ? {} : { precision }),
    ...(shard === undefined ? {} : { state: 'sharded' }),
  });
}

/** An engine whose backend is known to work: a run directory should not be made for one that does not. */
async function started(engine: Engine): Promise<Engine> {
  const { compileFunction } = await import('@selfsup/compile');
  try {
    const same = await compileFunction(({ x }) => ({ y: x }), { engine, inputs: { x: { shape: [1], dtype: 'f32' } } });
    await same.dispose();
  } catch (error) {
    await engine.dispose();
    throw error;
  }
  return engine;
}

async function onnxruntime({ threads }: EngineChoice): Promise<Engine> {
  const { onnxruntimeEngine } = await import('@selfsup/engine-onnxruntime');
  return onnxruntimeEngine(threads === undefined ? {} : { threads });
}

/** Installed plugins for GPUs, the newest first, each with what keeps it from having one here. */
async function gpuPlugins(): Promise<{ readonly name: string; readonly problem: string | undefined }[]> {
  const { driverProblem, installedPlugins, nvidiaSystem, PLUGINS } = await import('@selfsup/engine-xla/plugins');
  const system = nvidiaSystem();
  const installed = new Set(installedPlugins().map(({ name }) => name));
  return Object.values(PLUGINS).flatMap(({ name, nvidia }) =>
    nvidia === undefined || !installed.has(name) ? [] : [{ name, problem: driverProblem(nvidia, system)?.says }],
  );
}

async function best(choice: EngineChoice, note: (text: string) => void): Promise<Engine> {
  const onProcessor = (name: string, reason: string): Promise<Engine> => {
    note(`the plugin ${name} cannot be used, going on with onnxruntime on the processor: ${reason}`);
    return onnxruntime(choice);
  };
  const plugins = await gpuPlugins();
  const usable = plugins.find(({ problem }) => problem === undefined);
  if (usable === undefined) {
    const [first] = plugins;
    return first?.problem === undefined ? onnxruntime(choice) : onProcessor(first.name, first.problem);
  }
  try {
    return await xla({ ...choice, plugin: usable.name });
  } catch (problem) {
    return onProcessor(usable.name, problem instanceof Error ? problem.message : String(problem));
  }
}

/**
 * The engine a command was asked for.
 *
 * @param note - Told when `auto` cannot have the GPU that is here.
 * @throws SslError `ENGINE_MISSING` for an unknown name or no plugin, `ENGINE_FAILED` for a plugin that does not work,
 * `BAD_OPTION` for flags of another engine, `BACKEND_MISSING`
 */
export async function chooseEngine(
  choice: EngineChoice,
  note: (text: string) => void = (text) => process.stderr.write(`${text}\n`),
): Promise<Engine> {
  const name = namedEngine(choice);
  // Every engine needs tfjs's gradients to trace a step; production mode keeps tfjs from advertising on stderr.
  const { tfjsEngine } = await import('@selfsup/compile/node');
  enableProdMode();
  switch (name) {
    case undefined:
      return best(choice, note);
    case 'onnxruntime':
      return onnxruntime(choice);
    case 'xla':
      return xla(choice);
    case 'tfjs':
      return started(tfjsEngine({ backend: choice.backend ?? DEFAULT_BACKEND }));
    default: {
      const near = nearestName(name, ENGINES);
      throw new SslError('ENGINE_MISSING', {
        where: 'selfsup.engine',
        expected: `--engine auto, ${ENGINES.join(', ')}`,
        got: `"${name}"`,
        fix: near === undefined ? 'use --engine auto' : `did you mean "${near}"`,
        details: { name, known: ['auto', ...ENGINES] },
      });
    }
  }
}
