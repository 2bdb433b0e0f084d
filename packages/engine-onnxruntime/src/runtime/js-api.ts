import { SslError } from '@selfsup/core';
import { env, InferenceSession, Tensor } from 'onnxruntime-node';
import type { Element } from '../element.js';
import { runtimeError } from './errors.js';
import { disposedError, type Binding, type Runtime, type Session, type SessionOptions } from './session.js';

const TYPES = { f32: 'float32', i32: 'int32', u8: 'uint8', bool: 'bool' } as const;

function tensorOf({ dtype, shape, bytes }: Binding): Tensor {
  const { buffer, byteOffset, byteLength } = bytes;
  const type = TYPES[dtype as Exclude<Element, 'f64' | 'i64'>];
  const data =
    dtype === 'f32'
      ? new Float32Array(buffer as ArrayBuffer, byteOffset, byteLength / 4)
      : dtype === 'i32'
        ? new Int32Array(buffer as ArrayBuffer, byteOffset, byteLength / 4)
        : bytes;
  return new Tensor(type, data, shape);
}

const tensorsOf = (bindings: readonly Binding[]): Record<string, Tensor> =>
  Object.fromEntries(bindings.map((b) => [b.name, tensorOf(b)]));

/** Version of onnxruntime-node. */
export const scriptVersion = (): string => env.versions.node ?? 'of unknown version';

/** Sessions through onnxruntime-node's JavaScript API; outputs are still written in place where it allows. */
export class ScriptRuntime implements Runtime {
  readonly api = 'js';
  readonly addressOf = undefined;

  constructor(readonly version: string) {}

  async createSession(
    model: Uint8Array,
    inputs: readonly Binding[],
    outputs: readonly Binding[],
    { threads, optimization, config, profile }: SessionOptions,
  ): Promise<Session> {
    const session = await guarded('createSession', () =>
      InferenceSession.create(model, {
        enableCpuMemArena: false,
        enableMemPattern: false,
        intraOpNumThreads: threads,
        graphOptimizationLevel: optimization,
        logSeverityLevel: 4,
        extra: { ...config },
        ...(profile === undefined ? {} : { enableProfiling: true, profileFilePrefix: profile }),
      }),
    );
    return new ScriptSession(session, tensorsOf(inputs), outputs);
  }
}

class ScriptSession implements Session {
  readonly #session: InferenceSession;
  readonly #feeds: Record<string, Tensor>;
  readonly #fetches: Record<string, Tensor>;
  readonly #outputs: readonly Binding[];
  #disposed = false;

  constructor(session: InferenceSession, feeds: Record<string, Tensor>, outputs: readonly Binding[]) {
    this.#session = session;
    this.#feeds = feeds;
    this.#outputs = outputs;
    this.#fetches = tensorsOf(outputs);
  }

  async run(): Promise<void> {
    if (this.#disposed) throw disposedError();
    const found = await guarded('run', () => this.#session.run(this.#feeds, this.#fetches));
    for (const { name, bytes } of this.#outputs) {
      const tensor = found[name];
      if (tensor === this.#fetches[name]) continue;
      const data = tensor.data as Float32Array | Int32Array | Uint8Array;
      bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    }
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await guarded('release', () => this.#session.release());
  }
}

async function guarded<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (problem) {
    if (SslError.is(problem)) throw problem;
    throw runtimeError(`engine-onnxruntime.${name}`, problem instanceof Error ? problem.message : String(problem));
  }
}
