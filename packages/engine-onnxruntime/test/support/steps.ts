import { GraphBuilder, type Graph, type ValueId } from '@selfsup/compile';

const F32 = 'f32' as const;

/**
 * A small AdamW step on parameters p<i> with moments and an average: gradient = x * (i + 1), clipped by its norm; metric
 * `ok` tells whether the gradients are finite.
 */
export function adamStep(sizes: readonly number[]): Graph {
  const b = new GraphBuilder();
  const rate = b.input('batch', 'rate', { shape: [], dtype: F32 });
  const x = sizes.map((n, i) => b.input('batch', `x${i}`, { shape: [n], dtype: F32 }));
  const norms: ValueId[] = [];
  const op = (name: Parameters<GraphBuilder['node']>[0], inputs: ValueId[], shape: number[]): ValueId =>
    b.node(name, inputs, {}, [{ shape, dtype: F32 }])[0];
  const c = (value: number): ValueId => b.scalar(value, F32);
  const gradients = sizes.map((n, i) => {
    const p = b.input('state', `p${i}`, { shape: [n], dtype: F32 });
    const gradient = op('multiply', [x[i], c(i + 1)], [n]);
    const square = op('multiply', [gradient, gradient], [n]);
    const [sum] = b.node('reduce', [square], { kind: 'sum', dimensions: [0], keepDims: false }, [
      { shape: [], dtype: F32 },
    ]);
    norms.push(sum);
    return { p, gradient, norm: op('sqrt', [sum], []) };
  });
  sizes.forEach((n, i) => {
    const { p, gradient, norm } = gradients[i];
    const m = b.input('state', `m${i}`, { shape: [n], dtype: F32 });
    const v = b.input('state', `v${i}`, { shape: [n], dtype: F32 });
    const t = b.input('state', `t${i}`, { shape: [n], dtype: F32 });
    const scale = op('minimum', [op('divide', [c(3), norm], []), c(1)], []);
    const g = op('multiply', [gradient, scale], [n]);
    const m1 = op('add', [op('multiply', [m, c(0.9)], [n]), op('multiply', [g, c(0.1)], [n])], [n]);
    const g2 = op('multiply', [g, g], [n]);
    const v1 = op('add', [op('multiply', [v, c(0.999)], [n]), op('multiply', [g2, c(0.001)], [n])], [n]);
    const step = op('divide', [m1, op('add', [op('sqrt', [v1], [n]), c(1e-8)], [n])], [n]);
    const p1 = op('subtract', [op('multiply', [p, c(0.999)], [n]), op('multiply', [step, rate], [n])], [n]);
    const t1 = op('add', [op('multiply', [t, c(0.99)], [n]), op('multiply', [p1, c(0.01)], [n])], [n]);
    for (const [name, id] of [
      ['p', p1],
      ['m', m1],
      ['v', v1],
      ['t', t1],
    ] as const)
      b.result('state', `${name}${i}`, id);
  });
  const total = norms.reduce((sum, id) => op('add', [sum, id], []));
  const [ok] = b.node('is_finite', [total], {}, [{ shape: [], dtype: 'bool' }]);
  b.result('metric', 'norm', total);
  b.result('metric', 'ok', ok);
  return b.build('adam');
}

/** State and batch for {@link adamStep}. */
export function adamArrays(sizes: readonly number[]): {
  state: Record<string, Float32Array>;
  batch: Record<string, Float32Array>;
} {
  const fill = (n: number, f: (i: number) => number): Float32Array => Float32Array.from({ length: n }, (_, i) => f(i));
  const state: Record<string, Float32Array> = {};
  const batch: Record<string, Float32Array> = { rate: Float32Array.of(0.01) };
  sizes.forEach((n, k) => {
    state[`p${k}`] = fill(n, (i) => Math.sin(i + k));
    state[`m${k}`] = fill(n, (i) => Math.sin(2 * i + k) / 10);
    state[`v${k}`] = fill(n, (i) => Math.sin(3 * i + k) ** 2 / 100);
    state[`t${k}`] = fill(n, (i) => Math.cos(i + k));
    batch[`x${k}`] = fill(n, (i) => Math.cos(5 * i + k) / 50);
  });
  return { state, batch };
}

/** A two-layer network's gradient written as a traced step would be: forward, then backward from the last layer. */
export function deepChain(depth: number, rows: number, width: number): Graph {
  const b = new GraphBuilder();
  const spec = { shape: [rows, width], dtype: F32 };
  const square = { shape: [width, width], dtype: F32 };
  const x = b.input('batch', 'x', spec);
  const weights = Array.from({ length: depth }, (_, i) => b.input('state', `w${i}`, square));
  const dot = (a: ValueId, c: ValueId, transposeA: boolean, transposeB: boolean, out: typeof spec): ValueId =>
    b.node('dot_general', [a, c], { transposeA, transposeB }, [out])[0];
  const activations = [x];
  for (const w of weights) {
    const [y] = b.node('tanh', [dot(activations[activations.length - 1], w, false, false, spec)], {}, [spec]);
    activations.push(y);
  }
  let dy = activations[depth];
  const norms: ValueId[] = [];
  for (let i = depth - 1; i >= 0; i--) {
    const y = activations[i + 1];
    const [y2] = b.node('multiply', [y, y], {}, [spec]);
    const [slope] = b.node('subtract', [b.scalar(1, F32), y2], {}, [spec]);
    const [dz] = b.node('multiply', [dy, slope], {}, [spec]);
    const dw = dot(activations[i], dz, true, false, square);
    dy = dot(dz, weights[i], false, true, spec);
    const [next] = b.node('add', [weights[i], dw], {}, [square]);
    b.result('state', `w${i}`, next);
    const [sum] = b.node('reduce', [dw], { kind: 'sum', dimensions: [0, 1], keepDims: false }, [
      { shape: [], dtype: F32 },
    ]);
    norms.push(sum);
  }
  // As a recipe does it: parameters in their own order, which is not the order their gradients are made in.
  const [all] = b.node(
    'concatenate',
    norms.reverse().map((id) => b.node('reshape', [id], {}, [{ shape: [1], dtype: F32 }])[0]),
    { dimension: 0 },
    [{ shape: [depth], dtype: F32 }],
  );
  b.result('metric', 'norms', all);
  return b.build('chain');
}
