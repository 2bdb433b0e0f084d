import { Rng } from '@selfsup/core';
import { propertyOptions } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { adamW, adamWScalars, dinoParameterRule, parameterGroups, type AdamWStep } from '../../src/index.js';
import { tidied, toHost, toTensor, toTensors, type HostNumbers } from '../tensors.js';

const RULE = dinoParameterRule();

/** AdamW as written in the paper and in PyTorch, in float64, one number at a time. */
function reference(
  { p, g, m, v }: Record<'p' | 'g' | 'm' | 'v', number>,
  { lr, wd, t }: Record<'lr' | 'wd' | 't', number>,
): { p: number; m: number; v: number } {
  const decayed = p * (1 - lr * wd);
  const nextM = 0.9 * m + (1 - 0.9) * g;
  const nextV = 0.999 * v + (1 - 0.999) * g * g;
  const denominator = Math.sqrt(nextV) / Math.sqrt(1 - 0.999 ** t) + 1e-8;
  return { p: decayed - ((lr / (1 - 0.9 ** t)) * nextM) / denominator, m: nextM, v: nextV };
}

interface Problem {
  readonly params: HostNumbers;
  readonly grads: HostNumbers[];
}

/** A matrix, a bias and a last layer with gradients for some steps. */
function problem(seed: number, steps: number, scale = 1): Problem {
  const rng = Rng.of(seed, 'adamw');
  const shapes = { 'fc.weight': [2, 3], 'fc.bias': [2], 'last_layer.weight_v': [3, 2] };
  const draw = (std: number): HostNumbers =>
    Object.fromEntries(
      Object.entries(shapes).map(([name, shape]) => [
        name,
        {
          shape,
          data: rng.normals(
            shape.reduce((a, b) => a * b),
            std,
          ),
        },
      ]),
    );
  return { params: draw(1), grads: Array.from({ length: steps }, () => draw(scale)) };
}

/** Runs all steps and returns the last parameters and moments. */
function run({ params, grads }: Problem, stepOf: (step: number) => AdamWStep): Record<'p' | 'm' | 'v', HostNumbers> {
  return tidied(() => {
    const groups = parameterGroups(params, RULE);
    const zeros = (): Record<string, tf.Tensor> =>
      Object.fromEntries(Object.entries(params).map(([name, { shape }]) => [name, tf.zeros([...shape])]));
    let state = { params: toTensors(params), m: zeros(), v: zeros() };
    grads.forEach((grad, step) => {
      const scalars = toTensor(adamWScalars(groups, stepOf(step)));
      state = adamW({ ...state, grads: toTensors(grad), groups, scalars });
    });
    return { p: toHost(state.params), m: toHost(state.m), v: toHost(state.v) };
  });
}

const plain = (learningRate: number, weightDecay: number) => (step: number) => ({
  learningRate,
  weightDecay,
  clocks: { main: { updates: step + 1 }, lastLayer: { updates: step + 1 } },
});

const seeds = fc.integer({ min: 0, max: 2 ** 31 });
const rates = fc.double({ min: 1e-5, max: 1e-1, noNaN: true });
const decays = fc.double({ min: 0, max: 0.5, noNaN: true });

it('agrees with AdamW in float64', () => {
  fc.assert(
    fc.property(seeds, rates, decays, fc.integer({ min: 1, max: 6 }), (seed, lr, wd, steps) => {
      const given = problem(seed, steps);
      const found = run(given, plain(lr, wd));
      for (const [name, { shape, data }] of Object.entries(given.params)) {
        const decay = shape.length === 1 ? 0 : wd;
        const expected = Array.from(data, (p, i) => {
          let state = { p, m: 0, v: 0 };
          given.grads.forEach((grad, step) => {
            state = reference({ ...state, g: grad[name].data[i] }, { lr, wd: decay, t: step + 1 });
          });
          return state;
        });
        // float32: rounding of each step is relative to the step, which is at most a few lr.
        const atol = 1e-6 * steps * (lr + 1);
        expect(found.p[name].data).toBeAllclose(
          expected.map((e) => e.p),
          { rtol: 1e-6, atol },
        );
        expect(found.m[name].data).toBeAllclose(
          expected.map((e) => e.m),
          { rtol: 1e-5, atol: 1e-6 },
        );
        expect(found.v[name].data).toBeAllclose(
          expected.map((e) => e.v),
          { rtol: 1e-5, atol: 1e-9 },
        );
      }
    }),
    propertyOptions(),
  );
});

it('keeps parameters without gradient and decay', () => {
  fc.assert(
    fc.property(seeds, rates, (seed, lr) => {
      const given = problem(seed, 3, 0);
      const found = run(given, plain(lr, 0));
      for (const [name, { data }] of Object.entries(given.params)) expect(found.p[name].data).toEqual(data);
    }),
    propertyOptions(),
  );
});

it('only decays, and only what is decayed, without gradient', () => {
  fc.assert(
    fc.property(seeds, rates, decays, (seed, lr, wd) => {
      const given = problem(seed, 1, 0);
      const found = run(given, plain(lr, wd));
      expect(found.p['fc.bias'].data).toEqual(given.params['fc.bias'].data);
      const expected = Array.from(given.params['fc.weight'].data, (p) => p * (1 - lr * wd));
      expect(found.p['fc.weight'].data).toBeAllclose(expected, { rtol: 1e-6, atol: 1e-7 });
    }),
    propertyOptions(),
  );
});

it('takes the same step whatever the scale of the gradients', () => {
  fc.assert(
    fc.property(seeds, rates, fc.integer({ min: 1, max: 6 }), (seed, lr, exponent) => {
      const given = problem(seed, 4);
      // Away from 0, where epsilon would count.
      const scaled = (factor: number): Problem => ({
        ...given,
        grads: given.grads.map((grad) =>
          Object.fromEntries(
            Object.entries(grad).map(([name, { shape, data }]) => [
              name,
              { shape, data: Float32Array.from(data, (g) => (g + Math.sign(g) * 0.01) * factor) },
            ]),
          ),
        ),
      });
      const a = run(scaled(1), plain(lr, 0));
      const b = run(scaled(4 ** exponent), plain(lr, 0));
      for (const name of Object.keys(given.params)) {
        expect(b.p[name].data).toBeAllclose(a.p[name].data, { rtol: 1e-6, atol: lr * 1e-4 });
      }
    }),
    propertyOptions(),
  );
});

it('does not depend on the order of names', () => {
  fc.assert(
    fc.property(seeds, rates, decays, (seed, lr, wd) => {
      const given = problem(seed, 3);
      const turned = (numbers: HostNumbers): HostNumbers => Object.fromEntries(Object.entries(numbers).reverse());
      const a = run(given, plain(lr, wd));
      const b = run({ params: turned(given.params), grads: given.grads.map(turned) }, plain(lr, wd));
      expect(b).toEqual(a);
    }),
    propertyOptions(),
  );
});

it('starts a frozen clock as if training began there', () => {
  fc.assert(
    fc.property(seeds, rates, decays, fc.integer({ min: 1, max: 3 }), (seed, lr, wd, frozenSteps) => {
      const given = problem(seed, frozenSteps + 3);
      const a = run(given, (step) => ({
        ...plain(lr, wd)(step),
        clocks: {
          main: { updates: step + 1 },
          lastLayer: { updates: step < frozenSteps ? 'frozen' : step + 1 - frozenSteps },
        },
      }));
      const b = run({ ...given, grads: given.grads.slice(frozenSteps) }, plain(lr, wd));
      for (const kind of ['p', 'm', 'v'] as const) {
        expect(a[kind]['last_layer.weight_v']).toEqual(b[kind]['last_layer.weight_v']);
      }
    }),
    propertyOptions(),
  );
});
