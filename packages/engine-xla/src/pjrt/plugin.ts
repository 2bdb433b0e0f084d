import { SslError } from '@selfsup/core';
import limit from 'p-limit';
import {
  API_MAJOR,
  ERROR_CODES,
  FUNCTIONS,
  OLDEST_MINOR,
  STRUCTS,
  type ErrorCode,
  type FunctionName,
} from './api-table.js';
import { pluginError } from './errors.js';
import { hasRoomyStacks, trimMemory, type Koffi } from './koffi.js';
import { Struct, type NativeMemory, type Pointer } from './layout.js';
import { loadLibrary, pluginPath, type NativeFunction, type PluginLibrary } from './library.js';
import { decodeNamedValues, type NamedValues } from './named-values.js';

/** What native code holds for us at the moment, by kind; all zero when everything was given back. */
export interface LiveCounts {
  clients: number;
  topologies: number;
  buffers: number;
  events: number;
  executables: number;
  errors: number;
}

/** Version of the API. */
export interface ApiVersion {
  readonly major: number;
  readonly minor: number;
}

type ArgumentsOf<N extends FunctionName> = Struct<(typeof FUNCTIONS)[N]['fields']>;
type Values<N extends FunctionName> = Parameters<ArgumentsOf<N>['set']>[0];

/** koffi fails beyond 64 calls at once, of all libraries together; p-limit is the usual queue for that. */
const inTurn = limit(32);

/** Where the table of functions starts: after its size, extensions and version. */
const TABLE = { size: 0, major: 32, minor: 36, functions: 40 } as const;

/**
 * A version this client can talk to.
 *
 * @throws SslError `ENGINE_FAILED`
 */
export function checkVersion(path: string, { major, minor }: ApiVersion): void {
  if (major === API_MAJOR && minor >= OLDEST_MINOR) return;
  const tooNew = major > API_MAJOR;
  throw new SslError('ENGINE_FAILED', {
    where: 'engine-xla.loadPlugin',
    expected: `a plugin of PJRT API ${API_MAJOR}.${OLDEST_MINOR} or later below ${API_MAJOR + 1}.0`,
    got: `${major}.${minor} at ${path}, which is too ${tooNew ? 'new' : 'old'}`,
    fix: tooNew ? 'update selfsup, or use an older plugin' : 'use a newer plugin',
    details: { path, major, minor },
  });
}

/** A PJRT plugin: its functions, called with structs of arguments. Stays loaded until the process ends. */
export class Plugin {
  readonly path: string;
  readonly version: ApiVersion;
  /** What the plugin says about itself, e.g. `xla_version`, `stablehlo_current_version`. */
  readonly attributes: NamedValues;
  readonly live: LiveCounts = { clients: 0, topologies: 0, buffers: 0, events: 0, executables: 0, errors: 0 };
  readonly #koffi: Koffi;
  readonly #functions = new Map<FunctionName, NativeFunction>();
  readonly #library: PluginLibrary;
  readonly #tableBytes: number;
  /** Whether functions may be called on other threads. */
  readonly #threads: boolean;
  /** Memory of the calls under way. A variable would not keep it: compiled JavaScript forgets what is not read again. */
  readonly #inUse = new Set<unknown>();

  private constructor(path: string, loaded: PluginLibrary) {
    this.path = path;
    this.#library = loaded;
    this.#koffi = loaded.koffi;
    this.#threads = hasRoomyStacks(loaded.koffi);
    const int = (offset: number): number => this.#koffi.decode(loaded.api, offset, 'int') as number;
    this.version = { major: int(TABLE.major), minor: int(TABLE.minor) };
    checkVersion(path, this.version);
    this.#tableBytes = Number(this.#koffi.decode(loaded.api, TABLE.size, 'size_t'));
    this.call('Plugin_Initialize', {});
    const found = this.call('Plugin_Attributes', {});
    this.attributes = decodeNamedValues(this, found.big('attributes'), found.big('num_attributes'));
  }

  static readonly #loaded = new Map<string, Promise<Plugin>>();

  /**
   * Loads a plugin, once per file and process.
   *
   * @throws SslError `ENGINE_FAILED` saying what is wrong: no file, no library for this system, no plugin, too old, too new
   */
  static async load(path: string): Promise<Plugin> {
    const file = pluginPath(path);
    const known = Plugin.#loaded.get(file);
    if (known !== undefined) return known;
    const loading = loadLibrary(file).then((library) => new Plugin(file, library));
    Plugin.#loaded.set(file, loading);
    loading.catch(() => Plugin.#loaded.delete(file));
    return loading;
  }

  /** Address of memory; the memory must be kept as long as native code may use it, and then never moves. */
  readonly addressOf = (memory: ArrayBufferView): Pointer => this.#koffi.address(memory);

  /** The arguments of a function. */
  argumentsOf<N extends FunctionName>(name: N, values: Values<N>): ArgumentsOf<N> {
    const fields = FUNCTIONS[name].fields as (typeof FUNCTIONS)[N]['fields'];
    return new Struct(fields, this.version.minor, this.addressOf).set(values);
  }

  struct<N extends keyof typeof STRUCTS>(
    name: N,
    values: Parameters<Struct<(typeof STRUCTS)[N]>['set']>[0],
  ): Struct<(typeof STRUCTS)[N]> {
    return new Struct(STRUCTS[name], this.version.minor, this.addressOf).set(values);
  }

  /** Whether the plugin has a function. */
  has(name: FunctionName): boolean {
    return this.#tableBytes >= TABLE.functions + 8 * (FUNCTIONS[name].slot + 1) && this.#pointer(name) !== null;
  }

  /** Calls a function on this thread and returns its arguments, results filled in. @throws SslError of {@link pluginError} */
  call<N extends FunctionName>(name: N, values: Values<N>): ArgumentsOf<N> {
    const args = this.argumentsOf(name, values);
    this.#check(name, this.#now(name, args));
    return args;
  }

  /** A function bound to its arguments, for calls that are made a thousand times a step. The caller keeps the arguments. */
  bind<N extends FunctionName>(name: N, args: ArgumentsOf<N>): () => void {
    const call = this.function(name);
    const address = this.addressOf(args.bytes);
    return () => {
      const error = call(address);
      if (error !== null) this.#check(name, error);
    };
  }

  /**
   * Calls a function on a worker thread; on this one where only its stack is large enough.
   *
   * @param held - Memory that is used meanwhile without the arguments pointing to it
   */
  async callAsync<N extends FunctionName>(name: N, args: ArgumentsOf<N>, held: readonly unknown[] = []): Promise<void> {
    if (!this.#threads) return this.#check(name, this.#now(name, args));
    const call = (): Promise<void> =>
      new Promise((resolve, reject) => {
        const inUse = [args, held];
        this.#inUse.add(inUse);
        this.function(name).async(this.addressOf(args.bytes), (error: unknown, result) => {
          this.#inUse.delete(inUse);
          try {
            if (error !== null && error !== undefined) throw pluginError(name, 'INTERNAL', String(error));
            this.#check(name, result);
            resolve();
          } catch (problem) {
            reject(problem as Error);
          }
        });
      });
    return inTurn(call);
  }

  /** Gives memory that native code has freed back to the system, where the C library can. */
  trimMemory(): void {
    trimMemory(this.#koffi);
  }

  /** A function of the plugin, found on first use. @throws SslError `UNSUPPORTED` when this plugin lacks it */
  function(name: FunctionName): NativeFunction {
    const known = this.#functions.get(name);
    if (known !== undefined) return known;
    if (!this.has(name)) throw pluginError(name, 'UNIMPLEMENTED', `the plugin has no function ${name}`);
    const type = this.#koffi.proto('void*', ['void*']);
    const found = this.#koffi.decode(this.#pointer(name), type) as NativeFunction;
    this.#functions.set(name, found);
    return found;
  }

  /** Calls a function that a result points to, `void f(void*)`. */
  callDeleter(deleter: Pointer, argument: Pointer): void {
    if (deleter !== 0n) this.#koffi.call(deleter, this.#koffi.proto('void', ['void*']), argument);
  }

  /** Copies native memory. */
  copyBytes(address: Pointer, length: number): Uint8Array {
    if (length === 0) return new Uint8Array();
    return Uint8Array.from(this.#koffi.decode(address, this.#koffi.array('uint8_t', length, 'Typed')) as Uint8Array);
  }

  /** Copies native text. */
  copyText(address: Pointer, length: bigint): string {
    return Buffer.from(this.copyBytes(address, Number(length))).toString('utf8');
  }

  #pointer(name: FunctionName): Pointer | null {
    const offset = TABLE.functions + 8 * FUNCTIONS[name].slot;
    return this.#koffi.decode(this.#library.api, offset, 'void*') as Pointer | null;
  }

  #now(name: FunctionName, args: NativeMemory): Pointer | null {
    this.#inUse.add(args);
    const error = this.function(name)(this.addressOf(args.bytes));
    this.#inUse.delete(args);
    return error;
  }

  #check(name: FunctionName, error: Pointer | null): void {
    if (error === null || error === 0n) return;
    this.live.errors++;
    // What asks about an error returns nothing, so there is no error to look for.
    const said = this.argumentsOf('Error_Message', { error });
    this.#now('Error_Message', said);
    const message = this.copyText(said.big('message'), said.big('message_size'));
    const coded = this.argumentsOf('Error_GetCode', { error });
    this.#now('Error_GetCode', coded);
    const code: ErrorCode = ERROR_CODES[coded.number('code') ?? 2] ?? 'UNKNOWN';
    this.#now('Error_Destroy', this.argumentsOf('Error_Destroy', { error }));
    this.live.errors--;
    throw pluginError(name, code, message);
  }
}
