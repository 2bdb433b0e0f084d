import { expect, it } from 'vitest';
import { printGraph } from '../../src/graph/print.js';
import { GraphBuilder } from '../../src/index.js';

it('prints inputs, shortened constants, one line a node, and results', () => {
  const b = new GraphBuilder();
  const w = b.input('state', 'student.head.weight', { shape: [10, 12], dtype: 'f32' });
  const crops = b.input('batch', 'crops', { shape: [8, 12], dtype: 'u8' });
  const pixels = b.node('convert', [crops], {}, [{ shape: [8, 12], dtype: 'f32' }])[0];
  const scaled = b.node('multiply', [pixels, b.scalar(1 / 255, 'f32')], {}, [{ shape: [8, 12], dtype: 'f32' }])[0];
  const ramp = b.constant(
    Float32Array.from({ length: 12 }, (_, i) => i / 4),
    [1, 12],
    'f32',
  );
  const shifted = b.node('subtract', [scaled, ramp], {}, [{ shape: [8, 12], dtype: 'f32', name: 'centred' }])[0];
  const attrs = { transposeA: false, transposeB: true };
  const logits = b.node('dot_general', [shifted, w], attrs, [{ shape: [8, 10], dtype: 'f32' }])[0];
  const best = b.node('top_k', [logits], { k: 2 }, [
    { shape: [8, 2], dtype: 'f32' },
    { shape: [8, 2], dtype: 'i32' },
  ]);
  const sum = b.node('reduce', [best[0]], { kind: 'sum', dimensions: [0, 1], keepDims: false }, [
    { shape: [], dtype: 'f32' },
  ]);
  b.result('state', 'student.head.weight', w);
  b.result('metric', 'sum', sum[0]);
  b.result('metric', 'best', best[1]);
  expect(printGraph(b.build('logits'))).toBe(`graph logits
  %0 = state student.head.weight : f32[10, 12]
  %1 = batch crops : u8[8, 12] seen as i32
  %3 = constant 0.00392157 : f32[]
  %5 = constant [0, 0.25, 0.5, 0.75, 1, 1.25, ... 12 in all] : f32[1, 12]
  %2 = convert(%1) : f32[8, 12]
  %4 = multiply(%2, %3) : f32[8, 12]
  %6 = subtract(%4, %5) : f32[8, 12]  # centred
  %7 = dot_general(%6, %0) {transposeB} : f32[8, 10]
  %8, %9 = top_k(%7) {k=2} : f32[8, 2], i32[8, 2]
  %10 = reduce(%8) {kind=sum, dimensions=[0, 1]} : f32[]
  state student.head.weight = %0
  metric sum = %10
  metric best = %9
`);
});
