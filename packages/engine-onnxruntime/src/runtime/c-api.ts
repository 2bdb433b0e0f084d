import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type koffiModule from 'koffi';
import type { KoffiFunc, LibraryHandle } from 'koffi';
import { runtimeError } from './errors.js';
import type { AddressOf } from './memory.js';

/** A native pointer. */
export type Pointer = bigint;

/**
 * The functions used, with their place in onnxruntime's table of functions and their C signature. The table only ever
 * grows at its end, so places hold for every later version. `P` is a pointer, `S` a string, `I` int, `N` size_t; the
 * result is a status pointer unless said otherwise (`-> V` nothing, `-> I` int, `-> S` string).
 */
const FUNCTIONS = {
  GetErrorCode: [1, 'P', 'I'],
  GetErrorMessage: [2, 'P', 'S'],
  CreateEnv: [3, 'ISP', 'P'],
  CreateSessionFromArray: [8, 'PPNPP', 'P'],
  CreateSessionOptions: [10, 'P', 'P'],
  EnableProfiling: [14, 'PS', 'P'],
  DisableMemPattern: [17, 'P', 'P'],
  SetSessionGraphOptimizationLevel: [23, 'PI', 'P'],
  SetIntraOpNumThreads: [24, 'PI', 'P'],
  CreateTensorWithDataAsOrtValue: [49, 'PPNPNIP', 'P'],
  CreateCpuMemoryInfo: [69, 'IIP', 'P'],
  ReleaseEnv: [92, 'P', 'V'],
  ReleaseStatus: [93, 'P', 'V'],
  ReleaseMemoryInfo: [94, 'P', 'V'],
  ReleaseSession: [95, 'P', 'V'],
  ReleaseValue: [96, 'P', 'V'],
  ReleaseSessionOptions: [100, 'P', 'V'],
  AddSessionConfigEntry: [130, 'PSS', 'P'],
  RunWithBinding: [133, 'PPP', 'P'],
  CreateIoBinding: [134, 'PP', 'P'],
  ReleaseIoBinding: [135, 'P', 'V'],
  BindInput: [136, 'PSP', 'P'],
  BindOutput: [137, 'PSP', 'P'],
  CreateAndRegisterAllocator: [144, 'PPP', 'P'],
  CreateArenaCfgV2: [164, 'PPNP', 'P'],
  ReleaseArenaCfg: [157, 'P', 'V'],
  UnregisterAllocator: [177, 'PP', 'P'],
} as const satisfies Record<string, readonly [slot: number, parameters: string, result: string]>;

type FunctionName = keyof typeof FUNCTIONS;
type NativeArgument = Pointer | number | string | ArrayBufferView | null;
type NativeFunction = KoffiFunc<(...args: NativeArgument[]) => Pointer | number | string | null>;

type Koffi = typeof koffiModule;

/** Version of the function table asked for; old enough for every release with the functions above. */
const API_VERSION = 16;
const LOG_FATAL_ONLY = 4;
const STACK_BYTES = 8 << 20;
const PLAIN_ALLOCATOR = 0;
const ARENA_ALLOCATOR = 1;

const C_TYPES: Record<string, string> = { P: 'void*', S: 'const char*', I: 'int', N: 'size_t', V: 'void' };

/** Where the npm package keeps onnxruntime's shared library on this platform. */
export function libraryPath(): string {
  const root = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  const file =
    process.platform === 'win32'
      ? 'onnxruntime.dll'
      : process.platform === 'darwin'
        ? 'libonnxruntime.1.dylib'
        : 'libonnxruntime.so.1';
  return join(root, 'bin', 'napi-v6', process.platform, process.arch, file);
}

/**
 * Native code called off the main thread runs on stacks of koffi's, 128 KiB unless set before the first library of the
 * process is loaded: too little for some that may come later.
 */
function growStacks(koffi: Koffi): void {
  try {
    koffi.config({ async_stack_size: STACK_BYTES });
  } catch {
    // Another library came first; onnxruntime runs on what there is.
  }
}

/** The C API of the shared library that onnxruntime-node ships, called through koffi. One per process. */
export class OrtApi {
  readonly version: string;
  readonly #functions: Readonly<Record<FunctionName, NativeFunction>>;
  readonly #environment: Pointer;
  readonly #arenaInfo: Pointer;
  #arenaUsers = 0;
  readonly memoryInfo: Pointer;
  readonly addressOf: AddressOf;
  readonly library: LibraryHandle;

  private constructor(koffi: Koffi, path: string) {
    this.addressOf = (memory) => koffi.address(memory);
    // Held for good: a collected library is unloaded, and functions found by address do not keep it.
    this.library = koffi.load(path);
    const base = this.library.func('OrtGetApiBase', 'void*', [])() as Pointer | null;
    if (base === null) throw new Error('OrtGetApiBase returned nothing');
    const [getApi, getVersion] = koffi.decode(base, koffi.array('void*', 2)) as Pointer[];
    this.version = koffi.call(getVersion, koffi.proto('const char*', [])) as string;
    const table = koffi.call(getApi, koffi.proto('void*', ['uint32_t']), API_VERSION) as Pointer | null;
    if (table === null)
      throw new Error(`onnxruntime ${this.version} does not offer version ${API_VERSION} of its C API`);
    this.#functions = Object.fromEntries(
      Object.entries(FUNCTIONS).map(([name, [slot, parameters, result]]) => {
        const types = [...parameters].map((letter) => C_TYPES[letter]);
        const pointer = koffi.decode(table, 8 * slot, 'void*') as Pointer;
        return [name, koffi.decode(pointer, koffi.proto(C_TYPES[result], types)) as NativeFunction];
      }),
    ) as Record<FunctionName, NativeFunction>;
    this.#environment = this.make('CreateEnv', LOG_FATAL_ONLY, 'selfsup');
    this.memoryInfo = this.make('CreateCpuMemoryInfo', PLAIN_ALLOCATOR, 0);
    this.#arenaInfo = this.make('CreateCpuMemoryInfo', ARENA_ALLOCATOR, 0);
  }

  static #shared: Promise<OrtApi> | undefined;

  /** Loads the library on first use. @throws Error saying why it cannot be used */
  static load(): Promise<OrtApi> {
    OrtApi.#shared ??= (async () => {
      const path = libraryPath();
      if (!existsSync(path)) throw new Error(`there is no ${path}`);
      const koffi = (await import('koffi')).default;
      growStacks(koffi);
      return new OrtApi(koffi, path);
    })();
    return OrtApi.#shared;
  }

  get environment(): Pointer {
    return this.#environment;
  }

  /**
   * Counts a user of the arena that all sessions share. Memory freed in one step is used again in the next, without a
   * page fault; what sessions of one step hold one after the other is held once.
   */
  acquireArena(): void {
    if (this.#arenaUsers++ > 0) return;
    const settings = this.make('CreateArenaCfgV2', new BigUint64Array(1), new BigUint64Array(1), 0);
    try {
      this.call('CreateAndRegisterAllocator', this.#environment, this.#arenaInfo, settings);
    } finally {
      this.release('ReleaseArenaCfg', settings);
    }
  }

  /** Gives the arena's memory back when its last user has gone. */
  releaseArena(): void {
    if (--this.#arenaUsers === 0) this.call('UnregisterAllocator', this.#environment, this.#arenaInfo);
  }

  /** Calls a function that returns a status. @throws SslError `ENGINE_FAILED`, `OUT_OF_MEMORY` */
  call(name: FunctionName, ...args: NativeArgument[]): void {
    this.#check(name, this.#functions[name](...args) as Pointer | null);
  }

  /** The same on a worker thread, so that the event loop stays free. */
  callAsync(name: FunctionName, ...args: NativeArgument[]): Promise<void> {
    // Native code reads the memory of the arguments while it runs: they must not be collected before.
    const held = [...args];
    return new Promise((resolve, reject) => {
      this.#functions[name].async(...args, (error: unknown, status) => {
        held.length = 0;
        if (error !== null && error !== undefined) {
          reject(runtimeError(`engine-onnxruntime.${name}`, String(error)));
          return;
        }
        try {
          this.#check(name, status as Pointer | null);
          resolve();
        } catch (problem) {
          reject(problem instanceof Error ? problem : new Error(String(problem)));
        }
      });
    });
  }

  /** Calls a function whose last argument receives a new object. */
  make(name: FunctionName, ...args: NativeArgument[]): Pointer {
    const out = new BigUint64Array(1);
    this.call(name, ...args, out);
    return out[0];
  }

  /** The same on a worker thread. */
  async makeAsync(name: FunctionName, ...args: NativeArgument[]): Promise<Pointer> {
    const out = new BigUint64Array(1);
    await this.callAsync(name, ...args, out);
    return out[0];
  }

  release(name: FunctionName, pointer: Pointer): void {
    this.#functions[name](pointer);
  }

  #check(name: FunctionName, status: Pointer | null): void {
    if (status === null || status === 0n) return;
    const message = this.#functions.GetErrorMessage(status) as string;
    this.#functions.ReleaseStatus(status);
    throw runtimeError(`engine-onnxruntime.${name}`, message);
  }
}
