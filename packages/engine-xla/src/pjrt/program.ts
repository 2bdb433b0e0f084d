import type { NativeMemory, Pointer } from './layout.js';
import { decodeNamedValues, type NamedValues } from './named-values.js';
import type { Plugin } from './plugin.js';

/** Memory that a compiled program needs on one device, bytes. */
export interface ProgramMemory {
  readonly arguments: number;
  readonly outputs: number;
  /** Part of the outputs that lies in the memory of arguments. */
  readonly aliased: number;
  readonly temporary: number;
  readonly code: number;
  /** Highest moment, where the plugin tells. */
  readonly peak?: number;
}

/** A compiled program: what can be known without running it. */
export class Program {
  readonly #plugin: Plugin;
  readonly #handle: Pointer;
  #disposed = false;

  constructor(plugin: Plugin, handle: Pointer) {
    this.#plugin = plugin;
    this.#handle = handle;
    plugin.live.executables++;
  }

  /** Estimates of the compiler. @throws SslError `UNSUPPORTED` where the plugin cannot tell */
  memory(): ProgramMemory {
    const found = this.#plugin.call('Executable_GetCompiledMemoryStats', { executable: this.#handle });
    const bytes = (name: Parameters<typeof found.number>[0]): number => found.number(name) ?? 0;
    const peak = bytes('peak_memory_in_bytes');
    return {
      arguments: bytes('argument_size_in_bytes'),
      outputs: bytes('output_size_in_bytes'),
      aliased: bytes('alias_size_in_bytes'),
      temporary: bytes('temp_size_in_bytes'),
      code: bytes('generated_code_size_in_bytes'),
      ...(peak > 0 ? { peak } : {}),
    };
  }

  /** The compiler's counts, e.g. `flops`, `bytes accessed`. @throws SslError `UNSUPPORTED` */
  cost(): NamedValues {
    const found = this.#plugin.call('Executable_GetCostAnalysis', { executable: this.#handle });
    return decodeNamedValues(this.#plugin, found.big('properties'), found.big('num_properties'));
  }

  /** The program as bytes that the same plugin can load again. @throws SslError `UNSUPPORTED` */
  async serialize(): Promise<Uint8Array> {
    const plugin = this.#plugin;
    const args = plugin.argumentsOf('Executable_Serialize', { executable: this.#handle });
    await plugin.callAsync('Executable_Serialize', args);
    try {
      return plugin.copyBytes(args.big('serialized_bytes'), Number(args.big('serialized_bytes_size')));
    } finally {
      plugin.callDeleter(args.big('serialized_executable_deleter'), args.big('serialized_executable'));
    }
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#plugin.call('Executable_Destroy', { executable: this.#handle });
    this.#plugin.live.executables--;
  }
}

/** StableHLO text as native code takes it. */
export function encodeProgram(plugin: Plugin, text: string): NativeMemory {
  const code = Buffer.from(text);
  const format = Buffer.from('mlir');
  return plugin.struct('Program', { code, code_size: code.length, format, format_size: format.length });
}
