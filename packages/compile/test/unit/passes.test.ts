import { describe, expect, it } from 'vitest';
import {
  eliminateCommon,
  eliminateDead,
  estimatePeakBytes,
  GraphBuilder,
  interpret,
  optimizeGraph,
  rematerialize,
  simplify,
  type Graph,
  type Op,
} from '../../src/index.js';

const f32 = (...shape: number[]) => ({ shape, dtype: 'f32' as const });

function build(fill: (b: GraphBuilder, x: number) => number, shape = [2, 3]): Graph {
  const b = new GraphBuilder();
  const x = b.input('batch', 'x', { shape, dtype: 'f32' });
  b.result('metric', 'y', fill(b, x));
  return b.build('g');
}
const ops = (g: Graph): string[] => g.nodes.map((n) => n.op);

describe('passes', () => {
  it('drops what nobody needs and keeps inputs', () => {
    const g = build((b, x) => {
      b.node('exponential', [x], {}, [f32(2, 3)]);
      return b.node('negate', [x], {}, [f32(2, 3)])[0];
    });
    expect(ops(eliminateDead(g))).toEqual(['negate']);
    const unused = build((b) => b.scalar(1, 'f32'));
    expect(eliminateDead(unused).inputs).toHaveLength(1);
  });

  it('merges equal nodes, not those with other attributes', () => {
    const g = build((b, x) => {
      const [p] = b.node('reduce', [x], { kind: 'sum', dimensions: [0], keepDims: false }, [f32(3)]);
      const [q] = b.node('reduce', [x], { kind: 'sum', dimensions: [0], keepDims: false }, [f32(3)]);
      const [r] = b.node('reduce', [x], { kind: 'max', dimensions: [0], keepDims: false }, [f32(3)]);
      const [s] = b.node('add', [p, q], {}, [f32(3)]);
      return b.node('add', [s, r], {}, [f32(3)])[0];
    });
    expect(ops(eliminateDead(eliminateCommon(g)))).toEqual(['reduce', 'reduce', 'add', 'add']);
  });

  it('keeps paddings with different numbers that JSON cannot tell apart', () => {
    const g = build((b, x) => {
      const pads = [Infinity, -Infinity, NaN, 0, -0, -0].map(
        (value) => b.node('pad', [x], { low: [1, 0], high: [0, 0], value }, [f32(3, 3)])[0],
      );
      return b.node('concatenate', pads, { dimension: 0 }, [f32(18, 3)])[0];
    });
    expect(ops(eliminateDead(eliminateCommon(g)))).toEqual([...Array.from({ length: 5 }, () => 'pad'), 'concatenate']);
  });

  it('keeps a large value recomputed where sharing would keep it alive, and shares it where it is alive anyway', () => {
    const size = 300;
    const recomputed = (reuse: boolean): number => {
      const g = build(
        (b, x) => {
          const [e1] = b.node('exponential', [x], {}, [f32(size, size)]);
          const [s1] = b.node('reduce', [e1], { kind: 'sum', dimensions: [0, 1], keepDims: false }, [f32()]);
          const [n] = b.node('negate', [x], {}, [f32(size, size)]);
          const [e2] = b.node('exponential', [x], {}, [f32(size, size)]);
          const [t] = b.node('multiply', [e2, n], {}, [f32(size, size)]);
          const [u] = b.node('multiply', [reuse ? e1 : n, t], {}, [f32(size, size)]);
          return b.node('add', [u, s1], {}, [f32(size, size)])[0];
        },
        [size, size],
      );
      return ops(eliminateCommon(g)).filter((op) => op === 'exponential').length;
    };
    expect(recomputed(false)).toBe(2);
    expect(recomputed(true)).toBe(1);
  });

  it('folds chains that change nothing', () => {
    const g = build((b, x) => {
      const [t] = b.node('transpose', [x], { permutation: [1, 0] }, [f32(3, 2)]);
      const [back] = b.node('transpose', [t], { permutation: [1, 0] }, [f32(2, 3)]);
      const [r] = b.node('reshape', [back], {}, [f32(6)]);
      const [r2] = b.node('reshape', [r], {}, [f32(2, 3)]);
      const [zero] = b.node('add', [r2, b.scalar(0, 'f32')], {}, [f32(2, 3)]);
      const [one] = b.node('multiply', [zero, b.scalar(1, 'f32')], {}, [f32(2, 3)]);
      return b.node('negate', [one], {}, [f32(2, 3)])[0];
    });
    expect(ops(optimizeGraph(g))).toEqual(['negate']);
  });

  it('keeps a neutral operation that broadens the shape', () => {
    const g = build(
      (b, x) => b.node('add', [x, b.constant(Float32Array.of(0), [2, 3], 'f32')], {}, [f32(2, 3)])[0],
      [1, 3],
    );
    expect(ops(simplify(g))).toEqual(['add']);
  });

  describe('computing values again', () => {
    const size = 260;
    const large = f32(size, size);
    /** Layers y = tanh(negate(x)) forward; backward every layer reads its negated input once more. */
    const network = (layers: number): Graph =>
      build(
        (b, x) => {
          const inputs = [x];
          const between: number[] = [];
          for (let i = 0; i < layers; i++) {
            between.push(b.node('negate', [inputs[i]], {}, [large])[0]);
            inputs.push(b.node('tanh', [between[i]], {}, [large])[0]);
          }
          let gradient = inputs[layers];
          for (let i = layers - 1; i >= 0; i--) {
            [gradient] = b.node('multiply', [gradient, between[i]], {}, [large]);
            [gradient] = b.node('add', [gradient, inputs[i]], {}, [large]);
          }
          return gradient;
        },
        [size, size],
      );
    const again = (g: Graph, ...ops: Op[]): Graph => rematerialize(g, new Set(ops));
    const repeated = (g: Graph): number => ops(g).filter((op) => op === 'negate').length;

    it('repeats the operations named where their readers are far apart, and holds less', () => {
      const g = network(24);
      const less = again(g, 'negate');
      expect(repeated(less)).toBeGreaterThan(36);
      expect(repeated(less)).toBeLessThan(44);
      expect(estimatePeakBytes(less).peak).toBeLessThan(0.75 * estimatePeakBytes(g).peak);
      const x = { x: Float32Array.from({ length: size * size }, (_, i) => Math.sin(i)) };
      expect(interpret(less, {}, x).metrics['y']).toEqual(interpret(g, {}, x).metrics['y']);
      expect(ops(eliminateCommon(less))).toEqual(ops(less));
    });

    it('leaves alone what it was not told to repeat, near readers, and inputs that are gone by then', () => {
      expect(repeated(again(network(24), 'tanh'))).toBe(24);
      expect(repeated(again(network(5), 'negate'))).toBe(5);
      const gone = build(
        (b, x) => {
          const [first] = b.node('tanh', [x], {}, [large]);
          const [kept] = b.node('negate', [first], {}, [large]);
          let [value] = b.node('tanh', [kept], {}, [large]);
          for (let i = 0; i < 60; i++) [value] = b.node('tanh', [value], {}, [large]);
          return b.node('multiply', [value, kept], {}, [large])[0];
        },
        [size, size],
      );
      expect(repeated(again(gone, 'negate'))).toBe(1);
    });
  });
});
