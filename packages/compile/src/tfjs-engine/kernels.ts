import * as tf from '@tensorflow/tfjs-core';
import { SslError } from '@selfsup/core';

type Inputs = readonly tf.Tensor[] | Readonly<Record<string, tf.Tensor>>;
type KernelAttributes = Readonly<Record<string, tf.Attribute | readonly number[] | readonly (readonly number[])[]>>;

const someOfType =
  (dtype: tf.DataType) =>
  (inputs: Inputs): boolean =>
    Object.values(inputs).some((x: tf.Tensor) => x.dtype === dtype);

/**
 * Kernels that a backend registers but gets wrong, and when (found by the differential tests, tfjs 4.22.0). The wasm
 * ones write every element as four bytes of an integer or float, or compute with integers as float32; its MaxPoolGrad
 * loses the gradient of windows without a positive element.
 */
const WRONG: Readonly<Record<string, Readonly<Record<string, (inputs: Inputs, attrs: KernelAttributes) => boolean>>>> =
  {
    wasm: {
      FloorDiv: someOfType('int32'),
      MaxPoolGrad: () => true,
      Mod: someOfType('int32'),
      Neg: someOfType('int32'),
      OneHot: (_, attrs) => attrs['dtype'] !== 'int32',
      Reverse: someOfType('bool'),
      Select: (inputs) => Object.values(inputs).every((x) => x.dtype === 'bool'),
      StridedSlice: (inputs) => Object.values(inputs).some((x) => x.dtype !== 'float32'),
    },
  };

/**
 * Runs tfjs kernels by name on the active backend. A kernel the backend lacks runs on tfjs's cpu backend instead, its
 * inputs and outputs moved: slower, the same numbers.
 */
export class Kernels {
  readonly #backend: string;

  /** @param backend - name under which the active backend is registered */
  constructor(backend: string) {
    this.#backend = backend;
  }

  /** Runs a kernel of one output. */
  run(kernel: string, inputs: Inputs, attrs: KernelAttributes = {}): tf.Tensor {
    return this.runAll(kernel, inputs, attrs)[0];
  }

  /**
   * Runs a kernel.
   *
   * @throws SslError `UNSUPPORTED` when neither the backend nor the cpu backend can run it
   */
  runAll(kernel: string, inputs: Inputs, attrs: KernelAttributes = {}): tf.Tensor[] {
    const registered = tf.getKernel(kernel, this.#backend) !== undefined;
    const usable = registered && WRONG[this.#backend]?.[kernel]?.(inputs, attrs) !== true;
    if (!usable) return this.#runOnCpu(kernel, inputs, attrs);
    // Variadic kernels (Concat) take a list where the types ask for names.
    const named = inputs as unknown as tf.NamedTensorMap;
    return [tf.engine().runKernel<tf.Tensor | tf.Tensor[]>(kernel, named, attrs as tf.NamedAttrMap)].flat();
  }

  #runOnCpu(kernel: string, inputs: Inputs, attrs: KernelAttributes): tf.Tensor[] {
    const config = tf.getKernel(kernel, 'cpu');
    const cpu = tf.findBackend('cpu') as tf.KernelBackend | null;
    if (config === undefined || cpu === null) throw this.#unsupported(kernel, 'no cpu backend to run it instead');
    const move = (x: tf.Tensor): tf.Tensor => {
      try {
        return tf.engine().makeTensor(x.dataSync(), x.shape, x.dtype, cpu);
      } catch (cause) {
        throw this.#unsupported(kernel, 'values that cannot be moved to the cpu backend', cause);
      }
    };
    const moved = Array.isArray(inputs)
      ? inputs.map(move)
      : Object.fromEntries(Object.entries(inputs).map(([name, x]) => [name, move(x as tf.Tensor)]));
    const outputs = [
      config.kernelFunc({
        inputs: moved as unknown as tf.NamedTensorInfoMap,
        attrs: attrs as tf.NamedAttrMap,
        backend: cpu,
      }),
    ].flat();
    return outputs.map((info) => {
      const values = cpu.readSync(info.dataId) as tf.TypedArray;
      const tensor = tf.tensor(values.slice(), info.shape, info.dtype as 'float32' | 'int32' | 'bool');
      cpu.disposeData(info.dataId);
      return tensor;
    });
  }

  #unsupported(kernel: string, got: string, cause?: unknown): SslError {
    return new SslError('UNSUPPORTED', {
      where: 'compile.tfjsEngine',
      expected: `a tfjs backend with the kernel ${kernel}`,
      got: `${this.#backend} without it, and ${got}`,
      fix: 'use another backend (cpu has every kernel) or another engine',
      details: { kernel, backend: this.#backend },
      cause,
    });
  }
}
