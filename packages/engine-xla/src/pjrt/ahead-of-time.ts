import { encodeCompileOptions, type CompileSettings } from './compile-options.js';
import type { Pointer } from './layout.js';
import { encodeNamedValues, type NamedValues } from './named-values.js';
import type { Plugin } from './plugin.js';
import { encodeProgram, Program } from './program.js';

/** Devices that need not be here: what a plugin can compile for without them. */
export class Topology {
  readonly #plugin: Plugin;
  readonly #handle: Pointer;
  #disposed = false;

  private constructor(plugin: Plugin, handle: Pointer) {
    this.#plugin = plugin;
    this.#handle = handle;
    plugin.live.topologies++;
  }

  /**
   * Describes devices to a plugin.
   *
   * @param name - A name that the plugin knows, or empty where the options say it all
   * @param options - The plugin's own; NVIDIA's: `target_config` (text of a `GpuTargetConfigProto`) and `topology`
   * ("slices x hosts x devices", e.g. `1x1x8`)
   * @throws SslError with what the plugin says; `UNSUPPORTED` where it cannot compile for absent devices
   */
  static async create(plugin: Plugin, name: string, options: NamedValues = {}): Promise<Topology> {
    const encoded = encodeNamedValues(plugin, options);
    // With a terminating zero, so that there is an address also for an empty name.
    const text = Buffer.from(`${name}\0`);
    const args = plugin.argumentsOf('TopologyDescription_Create', {
      topology_name: text,
      topology_name_size: text.length - 1,
      create_options: encoded,
      num_options: encoded.count,
    });
    await plugin.callAsync('TopologyDescription_Create', args);
    return new Topology(plugin, args.big('topology'));
  }

  /** Compiles StableHLO text for these devices. @throws SslError with XLA's message */
  async compile(text: string, settings: CompileSettings): Promise<Program> {
    const plugin = this.#plugin;
    const options = encodeCompileOptions(settings);
    const args = plugin.argumentsOf('Compile', {
      topology: this.#handle,
      program: encodeProgram(plugin, text),
      compile_options: options,
      compile_options_size: options.length,
    });
    await plugin.callAsync('Compile', args);
    return new Program(plugin, args.big('executable'));
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#plugin.call('TopologyDescription_Destroy', { topology: this.#handle });
    this.#plugin.live.topologies--;
  }
}
