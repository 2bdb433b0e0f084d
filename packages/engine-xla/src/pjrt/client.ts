import { SslError } from '@selfsup/core';
import { Buffers } from './buffers.js';
import { encodeCompileOptions, type CompileSettings } from './compile-options.js';
import type { Pointer } from './layout.js';
import { LoadedExecutable, type Signature } from './loaded-executable.js';
import { encodeNamedValues, type NamedValues } from './named-values.js';
import type { Plugin } from './plugin.js';
import { encodeProgram } from './program.js';

/** Memory of a device at the moment, bytes, as far as the plugin tells. */
export interface DeviceMemory {
  readonly inUse: number;
  readonly peak?: number;
  readonly limit?: number;
}

/** A device that programs run on. */
export interface Device {
  readonly handle: Pointer;
  /** E.g. `cpu`, `NVIDIA H100 80GB HBM3`. */
  readonly kind: string;
  memory(): DeviceMemory | undefined;
}

function describeDevice(plugin: Plugin, handle: Pointer): Device {
  const description = plugin.call('Device_GetDescription', { device: handle }).big('device_description');
  const kind = plugin.call('DeviceDescription_Kind', { device_description: description });
  return {
    handle,
    kind: plugin.copyText(kind.big('device_kind'), kind.big('device_kind_size')),
    memory: () => deviceMemory(plugin, handle),
  };
}

function deviceMemory(plugin: Plugin, device: Pointer): DeviceMemory | undefined {
  try {
    const found = plugin.call('Device_MemoryStats', { device });
    return {
      inUse: found.number('bytes_in_use') ?? 0,
      ...(found.flag('peak_bytes_in_use_is_set') ? { peak: Number(found.big('peak_bytes_in_use')) } : {}),
      ...(found.flag('bytes_limit_is_set') ? { limit: Number(found.big('bytes_limit')) } : {}),
    };
  } catch (problem) {
    if (SslError.is(problem) && problem.code === 'UNSUPPORTED') return undefined;
    throw problem;
  }
}

/** A plugin at work: its devices, buffers on them and programs for them. */
export class Client {
  readonly plugin: Plugin;
  /** E.g. `cpu`, `cuda`, `tpu`. */
  readonly platform: string;
  /** Version of the platform, for people and for keys of caches. */
  readonly platformVersion: string;
  readonly devices: readonly Device[];
  readonly buffers: Buffers;
  readonly #handle: Pointer;
  #disposed = false;

  private constructor(plugin: Plugin, handle: Pointer) {
    this.plugin = plugin;
    this.#handle = handle;
    plugin.live.clients++;
    const client = handle;
    const name = plugin.call('Client_PlatformName', { client });
    this.platform = plugin.copyText(name.big('platform_name'), name.big('platform_name_size'));
    const version = plugin.call('Client_PlatformVersion', { client });
    this.platformVersion = plugin.copyText(version.big('platform_version'), version.big('platform_version_size'));
    const found = plugin.call('Client_AddressableDevices', { client });
    const list = plugin.copyBytes(found.big('addressable_devices'), 8 * Number(found.big('num_addressable_devices')));
    const handles = new BigUint64Array(list.buffer, list.byteOffset, list.byteLength / 8);
    this.devices = Array.from(handles, (device) => describeDevice(plugin, device));
    this.buffers = new Buffers(plugin, handle);
  }

  /**
   * Starts a plugin.
   *
   * @param options - The plugin's own, e.g. `cpu_device_count` of the CPU plugin
   * @throws SslError `ENGINE_FAILED` with what the plugin says: no driver, no device, unknown option
   */
  static async create(plugin: Plugin, options: NamedValues = {}): Promise<Client> {
    const encoded = encodeNamedValues(plugin, options);
    const args = plugin.argumentsOf('Client_Create', {
      create_options: encoded,
      num_options: encoded.count,
    });
    await plugin.callAsync('Client_Create', args);
    return new Client(plugin, args.big('client'));
  }

  /** Compiles StableHLO text. @throws SslError with XLA's message */
  async compile(text: string, signature: Signature, settings: CompileSettings): Promise<LoadedExecutable> {
    const { plugin } = this;
    const options = encodeCompileOptions(settings);
    const args = plugin.argumentsOf('Client_Compile', {
      client: this.#handle,
      program: encodeProgram(plugin, text),
      compile_options: options,
      compile_options_size: options.length,
    });
    await plugin.callAsync('Client_Compile', args);
    plugin.trimMemory();
    return new LoadedExecutable(plugin, this.buffers, args.big('executable'), signature);
  }

  /** Loads what {@link Program.serialize} gave. @throws SslError when the plugin does not take it */
  async load(serialized: Uint8Array, signature: Signature): Promise<LoadedExecutable> {
    const { plugin } = this;
    const args = plugin.argumentsOf('Executable_DeserializeAndLoad', {
      client: this.#handle,
      serialized_executable: serialized,
      serialized_executable_size: serialized.length,
    });
    await plugin.callAsync('Executable_DeserializeAndLoad', args);
    plugin.trimMemory();
    return new LoadedExecutable(plugin, this.buffers, args.big('loaded_executable'), signature);
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.plugin.call('Client_Destroy', { client: this.#handle });
    this.plugin.live.clients--;
  }
}
