import '../tensors.js';
import '@selfsup/test-kit';
import { SslError } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  adamW,
  adamWScalars,
  adamWScalarsSpec,
  allFinite,
  clipScalesPerModule,
  dinoParameterRule,
  dinov2ParameterRule,
  parameterGroups,
} from '../../src/index.js';
import { toHost, toTensor, toTensors } from '../tensors.js';

const specs = {
  'backbone.fc.weight': { shape: [2, 3] },
  'backbone.fc.bias': { shape: [2] },
  'head.last_layer.weight_g': { shape: [4, 1] },
  'head.last_layer.weight_v': { shape: [4, 2] },
};
const frozen = ['head.last_layer.weight_g'];
const groups = parameterGroups(specs, dinoParameterRule(), { frozen });
const step = { learningRate: 0.1, weightDecay: 0.2, clocks: { main: { updates: 1 }, lastLayer: { updates: 1 } } };

function ones(names: readonly string[] = Object.keys(specs)): Record<string, tf.Tensor> {
  return Object.fromEntries(names.map((name) => [name, tf.ones([...specs[name as keyof typeof specs].shape])]));
}

function codeOf(f: () => unknown): string | undefined {
  try {
    f();
  } catch (error) {
    return SslError.is(error) ? error.code : String(error);
  }
  return undefined;
}

describe('adamW', () => {
  beforeEach(() => tf.engine().startScope());
  afterEach(() => tf.engine().endScope());
  const trained = Object.keys(groups.groupOf);

  it('leaves nothing behind but its results and keeps its inputs', () => {
    const input = { params: ones(), grads: ones(trained), m: ones(trained), v: ones(trained), groups };
    const scalars = toTensor(adamWScalars(groups, step));
    const before = tf.memory().numTensors;
    const output = adamW({ ...input, scalars });
    expect(tf.memory().numTensors - before).toBe(4 + 3 + 3);
    expect(input.params['backbone.fc.bias'].isDisposed).toBe(false);
    expect(toHost(output.params)['head.last_layer.weight_g'].data).toEqual(Float32Array.of(1, 1, 1, 1));
  });

  it('applies gradient scales as scaled gradients would be', () => {
    const input = { params: ones(), m: ones(trained), v: ones(trained), groups };
    const scalars = toTensor(adamWScalars(groups, step));
    const gradientScales = { 'backbone.fc.weight': tf.scalar(0.25) };
    const scaled = adamW({ ...input, scalars, grads: ones(trained), gradientScales });
    const grads = { ...ones(trained), 'backbone.fc.weight': tf.fill([2, 3], 0.25) };
    const plain = adamW({ ...input, scalars, grads });
    for (const part of ['params', 'm', 'v'] as const) {
      for (const [name, { data }] of Object.entries(toHost(plain[part]))) {
        expect(toHost(scaled[part])[name].data).toBeAllclose(data, { rtol: 1e-6, atol: 0 });
      }
    }
  });

  it('changes nothing exactly while a clock is frozen or its rate is 0', () => {
    const params = ones();
    const m = ones(trained);
    const freeze = (lastLayer: { updates: number | 'frozen'; learningRate?: number }): Record<string, tf.Tensor>[] => {
      const scalars = toTensor(adamWScalars(groups, { ...step, clocks: { ...step.clocks, lastLayer } }));
      const output = adamW({ params, grads: ones(trained), m, v: ones(trained), groups, scalars });
      return [output.params, output.m];
    };
    const name = 'head.last_layer.weight_v';
    const expected = new Float32Array(8).fill(1);
    for (const clock of [{ updates: 'frozen' } as const, { updates: 3, learningRate: 0 }]) {
      const [next, moments] = freeze(clock);
      expect(toHost(next)[name].data).toEqual(expected);
      // Moments stay only while frozen; with rate 0 they move on: 0.9 * 1 + 0.1 * 1 is 1 again, up to rounding.
      if (clock.updates === 'frozen') expect(toHost(moments)[name].data).toEqual(expected);
    }
  });

  it.each([
    ['params', 'backbone.fc.bias'],
    ['params', 'head.last_layer.weight_g'],
    ['grads', 'backbone.fc.weight'],
    ['m', 'backbone.fc.weight'],
    ['v', 'head.last_layer.weight_v'],
  ] as const)('names what is missing: %s %s', (part, name) => {
    const scalars = toTensor(adamWScalars(groups, step));
    const input = { params: ones(), grads: ones(trained), m: ones(trained), v: ones(trained), groups, scalars };
    const { [name]: _, ...rest } = input[part];
    const wrong = { ...input, [part]: rest };
    expect(codeOf(() => adamW(wrong))).toBe('SHAPE_MISMATCH');
    expect(() => adamW(wrong)).toThrow(`${part}: ${name}`);
  });

  it('refuses parameters without a group and wrong shapes', () => {
    const scalars = toTensor(adamWScalars(groups, step));
    const input = { params: ones(), grads: ones(trained), m: ones(trained), v: ones(trained), groups, scalars };
    const stray = { ...input, params: { ...input.params, other: tf.scalar(1) } };
    expect(() => adamW(stray)).toThrow(/not in the groups: other/);
    const bent = { ...input, grads: { ...input.grads, 'backbone.fc.bias': tf.ones([3]) } };
    expect(codeOf(() => adamW(bent))).toBe('SHAPE_MISMATCH');
    expect(codeOf(() => adamW({ ...input, scalars: tf.ones([1, 7]) }))).toBe('SHAPE_MISMATCH');
  });
});

describe('adamWScalars', () => {
  it('has the shape of its spec', () => {
    const { shape, data } = adamWScalars(groups, step);
    expect(shape).toEqual(adamWScalarsSpec(groups).shape);
    expect(data).toHaveLength(shape[0] * shape[1]);
  });

  it.each([
    [{ ...step, learningRate: -1 }, 'BAD_OPTION'],
    [{ ...step, weightDecay: NaN }, 'BAD_OPTION'],
    [{ ...step, clocks: { ...step.clocks, main: { updates: 0 } } }, 'BAD_OPTION'],
    [{ ...step, clocks: { main: { updates: 1 } } }, 'UNKNOWN_NAME'],
  ])('refuses %o', (wrong, code) => {
    expect(codeOf(() => adamWScalars(groups, wrong))).toBe(code);
  });

  it('refuses constants out of range', () => {
    expect(codeOf(() => adamWScalars(groups, step, { beta1: 1 }))).toBe('BAD_OPTION');
    expect(codeOf(() => adamWScalars(groups, step, { epsilon: 0 }))).toBe('BAD_OPTION');
  });
});

describe('parameterGroups', () => {
  it('counts parameters', () => {
    expect(groups.groups.map(({ parameterCount }) => parameterCount)).toEqual([6, 2, 8]);
  });

  it('suggests the nearest name for an unknown frozen one', () => {
    const wrong = (): unknown => parameterGroups(specs, dinoParameterRule(), { frozen: ['head.last_layer.weight_q'] });
    expect(codeOf(wrong)).toBe('UNKNOWN_NAME');
    expect(wrong).toThrow(/head\.last_layer\.weight_g/);
  });

  it('refuses a table without parameters to update', () => {
    expect(codeOf(() => parameterGroups({}, dinoParameterRule()))).toBe('NO_PARAMS_MATCHED');
  });

  it('reads the block of plain and chunked names', () => {
    const rule = dinov2ParameterRule({ depth: 12, layerDecay: 0.5, patchEmbedMultiplier: 0.25 });
    const rate = (name: string): number => Math.log2(rule(name, [1, 1]).learningRateMultiplier);
    expect(rate('backbone.blocks.11.attn.proj.weight')).toBe(-1);
    expect(rate('backbone.blocks.3.11.attn.proj.weight')).toBe(-1);
    expect(rate('blocks.0.0.mlp.fc1.weight')).toBe(-12);
    expect(rate('backbone.patch_embed.proj.weight')).toBe(-15);
    expect(rate('mask_token')).toBe(-13);
    expect(rate('backbone.norm.weight')).toBe(0);
    expect(rate('dino_head.mlp.0.weight')).toBe(0);
  });
});

describe('clipScalesPerModule', () => {
  it('refuses strays and empty modules', () => {
    tf.tidy(() => {
      const grads = toTensors({ 'a.x': { shape: [1], data: [1] }, 'b.x': { shape: [1], data: [1] } });
      expect(codeOf(() => clipScalesPerModule(grads, ['a'], 1))).toBe('NO_PARAMS_MATCHED');
      expect(codeOf(() => clipScalesPerModule(grads, ['a', 'b', 'c'], 1))).toBe('NO_PARAMS_MATCHED');
    });
  });
});

describe('allFinite', () => {
  it.each([
    [[1, -2, 3], 1],
    [[1, NaN, 3], 0],
    [[Infinity, -Infinity, 3], 0],
    [[0, -Infinity, 0], 0],
  ])('of %o is %d', (values, expected) => {
    const flag = tf.tidy(() => allFinite({ a: tf.tensor1d(values), b: tf.scalar(1) }));
    expect(flag.dtype).toBe('bool');
    expect(flag.dataSync()[0]).toBe(expected);
    flag.dispose();
  });
});
