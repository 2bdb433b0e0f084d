import { SslError } from '@selfsup/core';
import type { Engine } from '@selfsup/compile';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import { reason, type Check } from './check.js';

/** An engine to try, and whether selfsup can do without it. */
export interface EngineToTry {
  readonly engine: string;
  readonly backend?: string;
  readonly needed: boolean;
  /** What to do when it does not work. */
  readonly fix: string;
}

/** Engines that come along. */
export const ENGINES_TO_TRY: readonly EngineToTry[] = [
  {
    engine: 'onnxruntime',
    needed: true,
    fix: 'reinstall with npm ci (or npm install onnxruntime-node); until then train with --engine tfjs --backend wasm',
  },
  {
    engine: 'tfjs',
    backend: 'wasm',
    needed: false,
    fix: 'reinstall with npm ci (or npm install @tensorflow/tfjs-backend-wasm)',
  },
];

/** Side of the matrices. */
const SIZE = 512;
/** Products in a row without leaving the engine. */
const CHAIN = 4;

/** Entries that no product of a broken kernel would agree with by chance; rows sum to about 0. */
const entry = (row: number, column: number): number => Math.sin(row * 12.9898 + column * 78.233) / Math.sqrt(SIZE / 2);

/** First entry of `x w w ... w`, in float64. */
function expectedFirst(x: Float32Array, w: Float32Array): number {
  let row = Float64Array.from(x.subarray(0, SIZE));
  for (let times = 0; times < CHAIN; times++) {
    const next = new Float64Array(SIZE);
    for (let i = 0; i < SIZE; i++) for (let j = 0; j < SIZE; j++) next[j] += row[i] * w[i * SIZE + j];
    row = next;
  }
  return row[0];
}

/** Speed of a chain of matrix products, tried over and over for some seconds. */
async function gigaflops(engine: Engine, seconds: number): Promise<number> {
  const tf = await import('@tensorflow/tfjs-core');
  const { compileFunction } = await import('@selfsup/compile');
  const matrix = { shape: [SIZE, SIZE], dtype: 'f32' } as const;
  const product = await compileFunction(
    ({ x, w }) => {
      let y = x as Tensor2D;
      for (let times = 0; times < CHAIN; times++) y = tf.matMul(y, w as Tensor2D);
      return { y: tf.slice(y, [0, 0], [1, SIZE]) };
    },
    { engine, name: 'matrix-product', inputs: { x: matrix, w: matrix } },
  );
  try {
    const fill = (shift: number): Float32Array =>
      Float32Array.from({ length: SIZE * SIZE }, (_, i) => entry(Math.floor(i / SIZE) + shift, i % SIZE));
    const [x, w] = [fill(0), fill(SIZE)];
    const { y } = await product({ x, w });
    const expected = expectedFirst(x, w);
    if (!(Math.abs(y[0] - expected) <= 1e-3 * Math.max(Math.abs(expected), 1e-3))) {
      throw new SslError('ENGINE_FAILED', {
        where: 'selfsup.doctor',
        expected: `a matrix product of ${expected}`,
        got: String(y[0]),
        fix: 'reinstall the engine',
      });
    }
    // The fastest run: what else the machine does meanwhile is not the engine's fault.
    let fastest = Infinity;
    const until = performance.now() + seconds * 1000;
    do {
      const began = performance.now();
      await product({ x, w });
      fastest = Math.min(fastest, (performance.now() - began) / 1000);
    } while (performance.now() < until);
    return (CHAIN * 2 * SIZE ** 3) / fastest / 1e9;
  } finally {
    await product.dispose();
  }
}

/** Starts an engine, lists its devices, and measures a matrix product on it. */
export async function checkEngine(wanted: EngineToTry, seconds: number): Promise<Check> {
  const { engine: engineName, backend, needed, fix } = wanted;
  const name = backend === undefined ? engineName : `${engineName} ${backend}`;
  let engine: Engine | undefined;
  try {
    const { chooseEngine } = await import('../engines.js');
    engine = await chooseEngine({ engine: engineName, backend });
    const speed = await gigaflops(engine, seconds);
    const devices = engine.devices();
    const facts = { engine: engineName, backend, gigaflops: speed, devices };
    const says = `${speed.toFixed(speed < 10 ? 1 : 0)} GFLOP/s on ${devices.map((device) => device.name).join(', ')}`;
    const slower = (engine as { fallbackReason?: unknown }).fallbackReason;
    if (typeof slower === 'string') {
      const reinstall = 'works, but slower than it could; reinstall with npm ci';
      return { name, status: 'warning', says: `${says}; ${slower}`, fix: reinstall, facts };
    }
    return { name, status: 'ok', says, facts };
  } catch (cause) {
    const facts = { engine: engineName, backend };
    return { name, status: needed ? 'failed' : 'warning', says: `does not work: ${reason(cause)}`, fix, facts };
  } finally {
    await engine?.dispose();
  }
}
