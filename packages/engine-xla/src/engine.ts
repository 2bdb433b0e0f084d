import { COMPOSITES, type CompileOptions, type DeviceInfo, type Engine, type Graph } from '@selfsup/compile';
import { SslError } from '@selfsup/core';
import limit from 'p-limit';
import { emitStableHlo } from './emit/program.js';
import { XlaExecutable } from './executable.js';
import { severalGpus } from './gpu-target.js';
import { capacityOf } from './memory.js';
import { Client, type Device } from './pjrt/client.js';
import type { CompileSettings, OptionOverride } from './pjrt/compile-options.js';
import { disposedError } from './pjrt/errors.js';
import type { LoadedExecutable, Signature } from './pjrt/loaded-executable.js';
import type { NamedValues } from './pjrt/named-values.js';
import { Plugin, type ApiVersion, type LiveCounts } from './pjrt/plugin.js';
import { preloadLibraries } from './plugins/preload.js';
import { ProgramCache } from './program-cache.js';
import { XlaStateStore } from './store.js';

/** Options of {@link xlaEngine}. */
export interface XlaOptions {
  /** Path of a PJRT plugin (a shared library). */
  readonly plugin: string;
  /** Libraries to load before it, see `preloadLibraries`. */
  readonly preload?: readonly string[];
  /** Devices that every program runs on, the batch split over them; 1 by default. */
  readonly devices?: number;
  /** Whether every device has the whole state (default), or each tensor is split over the devices. */
  readonly state?: 'replicated' | 'sharded';
  /**
   * Factors of the matrix products of networks: float32 (default), or rounded to bfloat16. State, sums, norms, softmax and
   * losses are float32 in both.
   */
  readonly precision?: 'f32' | 'bf16';
  /** Threads of the CPU plugin; all cores by default. Other plugins have no use for them. */
  readonly threads?: number;
  /** Options of the plugin itself, e.g. `memory_fraction` of NVIDIA's. */
  readonly pluginOptions?: NamedValues;
  /** XLA's debug options by name, e.g. `xla_cpu_prefer_vector_width`. */
  readonly overrides?: Readonly<Record<string, OptionOverride>>;
  /** Folder for compiled programs; none by default. Only for plugins that can store them. */
  readonly cache?: string;
}

/** The XLA engine, and what it runs on. */
export interface XlaEngine extends Engine {
  readonly name: 'xla';
  /** E.g. `cpu`, `cuda`, `rocm`, `tpu`. */
  readonly platform: string;
  /** Path of the plugin. */
  readonly plugin: string;
  /** Version of the plugin's API. */
  readonly apiVersion: ApiVersion;
  /** What native code holds for this plugin, all its engines together. */
  live(): LiveCounts;
  compile(graph: Graph, options?: CompileOptions): Promise<XlaExecutable>;
}

/** XLA's own default on CPUs loses a NaN in a maximum or minimum: a step that is not finite would look as if it were. */
const CPU_OVERRIDES: Readonly<Record<string, OptionOverride>> = { xla_cpu_enable_fast_min_max: false };

class PjrtEngine implements XlaEngine {
  readonly name = 'xla';
  readonly composites = COMPOSITES;
  readonly #client: Client;
  readonly #devices: readonly Device[];
  readonly #info: readonly DeviceInfo[];
  readonly #options: XlaOptions;
  readonly #cache: ProgramCache | undefined;
  readonly #executables = new Set<XlaExecutable>();
  readonly #stores = new Set<XlaStateStore>();
  readonly #compiling = new Set<Promise<unknown>>();
  #disposal: Promise<void> | undefined;

  constructor(client: Client, devices: readonly Device[], options: XlaOptions) {
    this.#client = client;
    this.#devices = devices;
    this.#info = devices.map((device, i) => describeDevice(client, device, i));
    this.#options = options;
    this.#cache = options.cache === undefined ? undefined : new ProgramCache(options.cache);
  }

  get platform(): string {
    return this.#client.platform;
  }

  get plugin(): string {
    return this.#client.plugin.path;
  }

  get apiVersion(): ApiVersion {
    return this.#client.plugin.version;
  }

  live(): LiveCounts {
    return { ...this.#client.plugin.live };
  }

  devices(): readonly DeviceInfo[] {
    return this.#info;
  }

  createStore(): XlaStateStore {
    if (this.#disposal !== undefined) throw disposedError('createStore', 'engine');
    return this.#newStore();
  }

  async compile(graph: Graph, options: CompileOptions = {}): Promise<XlaExecutable> {
    if (this.#disposal !== undefined) throw disposedError('compile', 'engine');
    const compiling = this.#compile(graph, options);
    this.#compiling.add(compiling);
    try {
      return await compiling;
    } finally {
      this.#compiling.delete(compiling);
    }
  }

  /** Ends when everything that is under way has ended. */
  dispose(): Promise<void> {
    this.#disposal ??= this.#end();
    return this.#disposal;
  }

  async #end(): Promise<void> {
    await Promise.allSettled(this.#compiling);
    await Promise.all([...this.#executables].map((executable) => executable.dispose()));
    await Promise.all([...this.#stores].map((store) => store.dispose()));
    this.#client.dispose();
  }

  async #compile(graph: Graph, { store, commitIf }: CompileOptions): Promise<XlaExecutable> {
    const given = store === undefined ? undefined : this.#own(store);
    const { state = 'replicated', precision = 'f32' } = this.#options;
    const count = this.#devices.length;
    const kind = deviceKind(this.#client.platform);
    const ours = kind === 'gpu' ? severalGpus(count) : kind === 'cpu' ? CPU_OVERRIDES : {};
    const overrides = { ...ours, ...this.#options.overrides };
    const program = emitStableHlo(graph, {
      devices: count,
      state,
      precision,
      ...(commitIf === undefined ? {} : { commitIf }),
    });
    const signature = { devices: count, inputs: program.inputs.length, outputs: program.outputs.length };
    const loaded = await this.#load(program.text, signature, { devices: count, overrides });
    try {
      const executable: XlaExecutable = new XlaExecutable({
        client: this.#client,
        devices: this.#devices,
        store: given ?? this.#newStore(),
        program,
        loaded,
        onDispose: () => this.#executables.delete(executable),
      });
      this.#executables.add(executable);
      return executable;
    } catch (problem) {
      loaded.dispose();
      throw problem;
    }
  }

  async #load(text: string, signature: Signature, settings: CompileSettings): Promise<LoadedExecutable> {
    const cache = this.#cache;
    if (cache === undefined) return this.#client.compile(text, signature, settings);
    const key = cache.key(this.#client, text, settings);
    const kept = await cache.find(key);
    // What the plugin does not take (any more) is compiled again.
    const known = kept && (await this.#client.load(kept, signature).catch(() => undefined));
    if (known !== undefined) return known;
    const made = await this.#client.compile(text, signature, settings);
    const program = made.program();
    try {
      await cache.keep(key, await program.serialize());
    } catch (problem) {
      if (!SslError.is(problem)) throw problem;
      // This plugin cannot store programs.
    } finally {
      program.dispose();
      this.#client.plugin.trimMemory();
    }
    return made;
  }

  #newStore(): XlaStateStore {
    const store: XlaStateStore = new XlaStateStore(this.#client, this.#devices, () => this.#stores.delete(store));
    this.#stores.add(store);
    return store;
  }

  #own(store: unknown): XlaStateStore {
    if (store instanceof XlaStateStore && store.isOf(this.#client)) return store;
    throw new SslError('BAD_OPTION', {
      where: 'engine-xla.compile',
      expected: 'a state store of this engine',
      got: 'a store of another engine',
      fix: 'make it with createStore() of this engine',
    });
  }
}

function describeDevice(client: Client, device: Device, index: number): DeviceInfo {
  const { platform, plugin } = client;
  const { major, minor } = plugin.version;
  const memoryBytes = capacityOf(client, device);
  return {
    name: `${platform}:${index} ${device.kind} (XLA, PJRT ${major}.${minor})`,
    kind: deviceKind(platform),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
  };
}

function deviceKind(platform: string): DeviceInfo['kind'] {
  if (platform === 'cpu' || platform === 'tpu') return platform;
  return /cuda|rocm|gpu|sycl|oneapi|metal|mtl|mps/i.test(platform) ? 'gpu' : 'other';
}

function checkCount(name: 'devices' | 'threads', count: number): void {
  if (Number.isInteger(count) && count >= 1) return;
  throw new SslError('BAD_OPTION', {
    where: 'engine-xla.xlaEngine',
    expected: `${name}: a whole number of at least 1`,
    got: String(count),
    fix: `leave it out to use ${name === 'devices' ? 'one device' : 'all cores'}`,
    details: { [name]: count },
  });
}

/**
 * Starts XLA through a PJRT plugin: graphs become StableHLO, the state stays on the devices, several devices work on one
 * batch.
 *
 * @throws SslError `ENGINE_FAILED` when the plugin cannot be loaded or finds no device, `BAD_OPTION`
 *
 * @example
 * const engine = await xlaEngine({ plugin: '/path/to/pjrt_c_api_cpu_plugin.so', devices: 2 });
 * const compiled = await compileStep(step, { engine, state, batch, commitIf: 'finite' });
 */
export async function xlaEngine(options: XlaOptions): Promise<XlaEngine> {
  const { devices = 1, threads, preload = [] } = options;
  checkCount('devices', devices);
  if (threads !== undefined) checkCount('threads', threads);
  await preloadLibraries(preload);
  const plugin = await Plugin.load(options.plugin);
  const client = await inTurn(() => withThreads(threads, () => clientWith(plugin, devices, options.pluginOptions)));
  if (client.devices.length < devices) {
    const there = client.devices.length;
    client.dispose();
    throw new SslError('BAD_OPTION', {
      where: 'engine-xla.xlaEngine',
      expected: `at most ${there} devices, which is what ${plugin.path} has`,
      got: String(devices),
      fix: `use --devices ${there}, or fewer`,
      details: { devices, available: there },
    });
  }
  return new PjrtEngine(client, client.devices.slice(0, devices), options);
}

/** Devices of the CPU plugin share the processor: more of them than are used would only get in each other's way. */
async function clientWith(plugin: Plugin, devices: number, options: NamedValues = {}): Promise<Client> {
  const client = await startClient(plugin, options);
  if (client.platform !== 'cpu' || client.devices.length === devices || 'cpu_device_count' in options) return client;
  client.dispose();
  return startClient(plugin, { ...options, cpu_device_count: devices });
}

/** XLA's CPU client looks for its number of threads in the environment, when it starts. */
const THREADS = 'NPROC';

/** The environment is one for all: clients start one after the other. */
const inTurn = limit(1);

async function withThreads<T>(threads: number | undefined, start: () => Promise<T>): Promise<T> {
  if (threads === undefined) return start();
  const before = process.env[THREADS];
  process.env[THREADS] = String(threads);
  try {
    return await start();
  } finally {
    if (before === undefined) delete process.env[THREADS];
    else process.env[THREADS] = before;
  }
}

async function startClient(plugin: Plugin, options: NamedValues): Promise<Client> {
  try {
    return await Client.create(plugin, options);
  } catch (problem) {
    if (!SslError.is(problem)) throw problem;
    throw new SslError('ENGINE_FAILED', {
      where: 'engine-xla.xlaEngine',
      expected: `devices that ${plugin.path} can use`,
      got: String(problem.details['message'] ?? problem.message),
      fix: 'look at "selfsup doctor" (driver, devices), or use another engine',
      details: { ...problem.details, plugin: plugin.path },
      cause: problem,
    });
  }
}
