import '@tensorflow/tfjs';
import { traceStep } from '@selfsup/compile';
import type { Specs } from '@selfsup/core';
import { clipScalesPerModule } from '@selfsup/optim';
import { expect, it } from 'vitest';

// Engines run a sum's terms in the order of the trace. Were all squares there before the first addition, the gradient
// of the first layer could come before those of the last, whose activations would be held until then.
it('adds a gradient to the norm of its module before the next one is looked at', async () => {
  const state: Specs = Object.fromEntries(
    ['first', 'second', 'third', 'fourth'].map((name) => [`backbone.${name}`, { shape: [3, 2], dtype: 'f32' }]),
  );
  const graph = await traceStep(
    (gradients) => ({
      state: {},
      metrics: { norm: clipScalesPerModule(gradients, ['backbone'], 1).norms['backbone'] },
    }),
    { state, batch: {}, composites: [], name: 'clip' },
  );
  const steps = graph.nodes.map(({ op }) => op).filter((op) => op === 'reduce' || op === 'add');
  expect(steps).toEqual(['reduce', 'reduce', 'add', 'reduce', 'add', 'reduce', 'add']);
  const squared = graph.nodes.filter(({ op }) => op === 'multiply').map(({ inputs }) => graph.values[inputs[0]].name);
  expect(squared).toEqual(['fourth', 'third', 'second', 'first'].map((name) => `backbone.${name}`));
});
