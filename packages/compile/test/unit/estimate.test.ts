import { describe, expect, it } from 'vitest';
import { estimateFlops, estimateGraph, estimatePeakBytes } from '../../src/graph/estimate.js';
import { estimateTraffic, GraphBuilder, type Op } from '../../src/index.js';

const f32 = (...shape: number[]) => ({ shape, dtype: 'f32' as const });

/** FLOPs of one operation on f32 inputs. */
function flopsOf(
  op: Op,
  inputs: number[][],
  outputs: number[][],
  attrs: Parameters<GraphBuilder['node']>[2] = {},
): number {
  const b = new GraphBuilder();
  const ids = inputs.map((shape, i) => b.input('batch', `x${i}`, f32(...shape)));
  b.node(
    op,
    ids,
    attrs,
    outputs.map((shape) => f32(...shape)),
  );
  return estimateFlops(b.build(op)).total;
}

describe('estimateFlops', () => {
  const geometry = { strides: [2, 2], dilations: [1, 1], padding: [1, 1, 1, 1], groups: 2 };
  // 4 x 4 outputs of 6 channels for 2 images, each the sum of 3 x 3 x 2 products.
  const convolution = 2 * (2 * 4 * 4 * 6) * (3 * 3 * 2);
  const [x, w, y] = [
    [2, 8, 8, 4],
    [3, 3, 2, 6],
    [2, 4, 4, 6],
  ];

  it.each<[string, number, number]>([
    [
      'a batched product',
      flopsOf(
        'dot_general',
        [
          [3, 8, 5],
          [3, 5, 7],
        ],
        [[3, 8, 7]],
        { transposeA: false, transposeB: false },
      ),
      2 * 3 * 8 * 5 * 7,
    ],
    [
      'a transposed product',
      flopsOf(
        'dot_general',
        [
          [5, 8],
          [7, 5],
        ],
        [[8, 7]],
        { transposeA: true, transposeB: true },
      ),
      2 * 8 * 5 * 7,
    ],
    ['a convolution', flopsOf('convolution', [x, w], [y], geometry), convolution],
    ['its input gradient', flopsOf('convolution_input_grad', [y, w], [x], geometry), convolution],
    ['its filter gradient', flopsOf('convolution_filter_grad', [x, y], [w], geometry), convolution],
    ['element-wise, broadcast', flopsOf('add', [[4, 1], [5]], [[4, 5]]), 20],
    ['a reduction', flopsOf('reduce', [[4, 5]], [[4]], { kind: 'sum', dimensions: [1], keepDims: false }), 20],
    ['moving data', flopsOf('transpose', [[4, 5]], [[5, 4]], { permutation: [1, 0] }), 0],
    // Per weight: 2 x 4 for q k, 2 x 4 for p v, 5 for the softmax.
    [
      'attention',
      flopsOf(
        'attention',
        [
          [2, 3, 5, 4],
          [2, 3, 6, 4],
          [2, 3, 6, 4],
        ],
        [[2, 3, 5, 4]],
        { scale: 1 },
      ),
      2 * 3 * 5 * 6 * 21,
    ],
    ['cholesky', flopsOf('cholesky', [[2, 6, 6]], [[2, 6, 6]]), (2 * 6 ** 3) / 3],
    [
      'a triangular solve',
      flopsOf(
        'triangular_solve',
        [
          [6, 6],
          [6, 2],
        ],
        [[6, 2]],
        { transpose: false },
      ),
      6 * 6 * 2,
    ],
  ])('counts %s', (_, actual, expected) => {
    expect(actual).toBeCloseTo(expected, 9);
  });
});

/** y = x w from bytes, by a product that may be rounded or not; new w = w + y. */
function productStep(precision?: 'default' | 'highest') {
  const b = new GraphBuilder();
  const w = b.input('state', 'w', f32(8, 8));
  const x = b.input('batch', 'x', { shape: [8, 8], dtype: 'u8' });
  const [pixels] = b.node('convert', [x], {}, [f32(8, 8)]);
  const attrs = { transposeA: false, transposeB: false, ...(precision === undefined ? {} : { precision }) };
  const [y] = b.node('dot_general', [pixels, w], attrs, [f32(8, 8)]);
  const [next] = b.node('add', [w, y], {}, [f32(8, 8)]);
  b.result('state', 'w', next);
  return b.build('product');
}

describe('products that may be rounded', () => {
  it('are those marked so, and attention without its softmax', () => {
    expect(estimateFlops(productStep()).roundable).toBe(0);
    expect(estimateFlops(productStep('highest')).roundable).toBe(0);
    expect(estimateFlops(productStep('default'))).toMatchObject({ roundable: 1024, total: 1024 + 64 });
    const b = new GraphBuilder();
    const qkv = ['q', 'k', 'v'].map((name) => b.input('batch', name, f32(1, 2, 5, 4)));
    b.node('attention', qkv, { scale: 1 }, [f32(1, 2, 5, 4)]);
    expect(estimateFlops(b.build('attention')).roundable).toBe(2 * 5 * 5 * (8 + 8));
  });

  it('move less memory in fewer bytes; element-wise operations move none of their own', () => {
    const boundary = 256 + 64 + 256;
    expect(estimateTraffic(productStep('default'))).toBe(boundary + 3 * 256);
    expect(estimateTraffic(productStep('default'), 2)).toBe(boundary + 2 * 128 + 256);
    expect(estimateTraffic(productStep(), 2)).toBe(boundary + 3 * 256);
  });

  it('are refused with another word', () => {
    expect(() => productStep('fast' as never)).toThrow(/precision: highest \| default/);
  });
});

describe('estimatePeakBytes', () => {
  /** x [256] -> a -> b -> c, where a is used again at the end; the new state lives on. */
  function chain() {
    const b = new GraphBuilder();
    const s = b.input('state', 's', f32(256));
    const x = b.input('batch', 'x', { shape: [256], dtype: 'u8' });
    const [a] = b.node('convert', [x], {}, [f32(256)]);
    const [c] = b.node('exponential', [a], {}, [f32(256)]);
    const [d] = b.node('multiply', [c, b.scalar(2, 'f32', [256])], {}, [f32(256)]);
    const [e] = b.node('add', [d, a], {}, [f32(256)]);
    const [next] = b.node('add', [s, e], {}, [f32(256)]);
    b.result('state', 's', next);
    return b.build('chain');
  }

  it('follows what lives how long', () => {
    // At the multiply a, c and d are alive (3 KiB); c dies; at the first add a, d, e; at the second e and next.
    expect(estimatePeakBytes(chain())).toEqual({
      state: 1024,
      batch: 256,
      constants: 4,
      intermediates: 3 * 1024,
      peak: 1024 + 256 + 4 + 3 * 1024,
      peakNode: 2,
    });
  });

  it('frees outputs nobody uses', () => {
    const b = new GraphBuilder();
    const x = b.input('batch', 'x', f32(256));
    const [, indices] = b.node('top_k', [x], { k: 128 }, [f32(128), { shape: [128], dtype: 'i32' }]);
    const [y] = b.node('add', [x, x], {}, [f32(256)]);
    b.result('metric', 'indices', indices);
    b.result('metric', 'y', y);
    // top_k: 512 + 512; then the values are gone: 512 + 1024.
    expect(estimatePeakBytes(b.build('unused')).intermediates).toBe(1536);
  });

  it('is part of the whole estimate', () => {
    const { nodes, flops, bytes } = estimateGraph(chain());
    expect(nodes).toBe(5);
    expect(flops).toEqual({ total: 4 * 256, roundable: 0, byOp: { exponential: 256, multiply: 256, add: 512 } });
    expect(bytes.peakNode).toBe(2);
  });
});
