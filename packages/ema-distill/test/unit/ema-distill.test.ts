import '../tensors.js';
import '@selfsup/test-kit';
import { Rng, SslError } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import {
  dinoLoss,
  emaUpdate,
  ibotLoss,
  maskedPatches,
  momentumSchedule,
  projectionHead,
  prototypeLogits,
  sinkhornTargets,
  teacherParameters,
  updateCenter,
} from '../../src/index.js';
import { normal, tidied, toHost, toTensor, toTensors } from '../tensors.js';

function codeOf(f: () => unknown): string | undefined {
  try {
    tidied(f);
  } catch (error) {
    return SslError.is(error) ? error.code : String(error);
  }
  return undefined;
}

describe('emaUpdate', () => {
  it('leaves only its results behind', () => {
    const teacher = { a: tf.ones([2]), b: tf.ones([3]) };
    const student = { a: tf.zeros([2]), b: tf.zeros([3]) };
    const before = tf.memory().numTensors;
    const next = emaUpdate(teacher, student, 0.75, 0.25);
    expect(tf.memory().numTensors).toBe(before + 2);
    expect(next['a'].dataSync()).toEqual(Float32Array.of(0.75, 0.75));
    tf.dispose([teacher, student, next]);
  });

  it('refuses a student with other names or shapes, and a momentum that is no scalar', () => {
    expect(codeOf(() => emaUpdate({ a: tf.ones([2]) }, { b: tf.ones([2]) }, 0, 1))).toBe('SHAPE_MISMATCH');
    expect(codeOf(() => emaUpdate({ a: tf.ones([2]) }, { a: tf.ones([3]) }, 0, 1))).toBe('SHAPE_MISMATCH');
    const m = tf.ones([1]);
    expect(codeOf(() => emaUpdate({ a: tf.ones([2]) }, { a: tf.ones([2]) }, m, 0))).toBe('SHAPE_MISMATCH');
    m.dispose();
  });
});

describe('momentumSchedule', () => {
  it.each([
    { start: 1.1, totalSteps: 5 },
    { start: 0.9, totalSteps: 0 },
    { start: NaN, totalSteps: 5 },
  ])('refuses %o', (options) => {
    expect(codeOf(() => momentumSchedule(options))).toBe('BAD_OPTION');
  });
});

describe('teacherParameters', () => {
  it('needs a teacher for ema', () => {
    expect(codeOf(() => teacherParameters('ema', { student: {} }))).toBe('BAD_OPTION');
  });

  it('gives the teacher or the student', () => {
    const student = { a: tf.scalar(1) };
    const teacher = { a: tf.scalar(2) };
    expect(teacherParameters('ema', { student, teacher })).toBe(teacher);
    expect(teacherParameters('none', { student, teacher })).toBe(student);
    const stopped = teacherParameters('student-stopgrad', { student });
    expect(stopped['a'].dataSync()[0]).toBe(1);
    tf.dispose([student, teacher, stopped]);
  });
});

describe('projectionHead', () => {
  const config = { inputWidth: 6, hiddenWidth: 8, outputWidth: 4 };

  it('starts as the authors do', () => {
    const head = projectionHead({ inputWidth: 64, hiddenWidth: 256, outputWidth: 128, prototypes: 300 });
    const init = head.init(Rng.of(1, 'head'));
    expect(Object.keys(init)).toEqual(Object.keys(head.parameterSpecs()));
    const std = (data: ArrayLike<number>): number => Math.hypot(...Array.from(data)) / Math.sqrt(data.length);
    expect(std(init['mlp.2.weight'].data)).toBeAllclose(0.02, { rtol: 0.02 });
    expect(init['mlp.4.bias'].data.every((x) => x === 0)).toBe(true);
    expect(init['last_layer.weight_g'].data.every((x) => x === 1)).toBe(true);
    const bound = 1 / Math.sqrt(128);
    const directions = Array.from(init['last_layer.weight_v'].data);
    expect(Math.max(...directions.map(Math.abs))).toBeLessThanOrEqual(bound * (1 + 1e-6));
    expect(std(directions)).toBeAllclose(bound / Math.sqrt(3), { rtol: 0.02 });
    const again = (seed: number): number[] => [
      ...head.init(Rng.of(seed, 'head'))['last_layer.weight_v'].data.slice(0, 9),
    ];
    expect(again(1)).toEqual(directions.slice(0, 9));
    expect(again(2)).not.toEqual(directions.slice(0, 9));
  });

  it('has as many parameters as the published heads', () => {
    const count = (head: ReturnType<typeof projectionHead>): number =>
      Object.values(head.parameterSpecs()).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    expect(count(projectionHead({ inputWidth: 768 }))).toBe(6_295_808);
    expect(count(projectionHead({ inputWidth: 768, prototypes: 65_536 }))).toBe(6_295_808 + 16_777_216 + 65_536);
  });

  it('names a single layer as PyTorch does', () => {
    expect(Object.keys(projectionHead({ ...config, layers: 1 }).parameterSpecs())).toEqual(['mlp.weight', 'mlp.bias']);
  });

  it('freezes the norms of prototypes unless they are trained', () => {
    expect(projectionHead({ ...config, prototypes: 5 }).frozenParameters).toEqual(['last_layer.weight_g']);
    expect(projectionHead({ ...config, prototypes: 5, prototypeNorms: 'trainable' }).frozenParameters).toEqual([]);
    expect(projectionHead(config).frozenParameters).toEqual([]);
  });

  it('gives rows of length 1 and leaves nothing else behind', () => {
    const head = projectionHead(config);
    const params = toTensors(head.init(Rng.of(3, 'head')));
    const x = toTensor(normal(Rng.of(4, 'x'), [5, 6]));
    const before = tf.memory().numTensors;
    const features = head.apply(params, x);
    expect(tf.memory().numTensors).toBe(before + 1);
    const lengths = tidied(() => toHost(tf.norm(features, 2, 1)).data);
    expect(lengths).toBeAllclose([1, 1, 1, 1, 1]);
    tf.dispose([params, x, features]);
  });

  it.each([
    [{ ...config, batchNorm: true }, 'UNSUPPORTED'],
    [{ ...config, layers: 0 }, 'BAD_OPTION'],
    [{ ...config, prototypes: 0 }, 'BAD_OPTION'],
    [{ ...config, inputWidth: 1.5 }, 'BAD_OPTION'],
  ])('refuses %o', (wrong, code) => {
    expect(codeOf(() => projectionHead(wrong))).toBe(code);
  });

  it('refuses missing and mis-shaped parameters and inputs', () => {
    const head = projectionHead(config);
    tidied(() => {
      const params = toTensors(head.init(Rng.of(3, 'head')));
      const { 'mlp.2.bias': _, ...rest } = params;
      expect(codeOf(() => head.apply(rest, tf.ones([2, 6])))).toBe('SHAPE_MISMATCH');
      expect(codeOf(() => head.apply({ ...params, 'mlp.2.bias': tf.ones([3]) }, tf.ones([2, 6])))).toBe(
        'SHAPE_MISMATCH',
      );
      expect(codeOf(() => head.apply(params, tf.ones([2, 5])))).toBe('SHAPE_MISMATCH');
    });
  });
});

describe('prototypeLogits', () => {
  it('is finite for zero directions and norms', () => {
    tidied(() => {
      const inputs = [tf.ones([2, 3]), tf.zeros([4, 3]), tf.zeros([4, 1])];
      const { value, grads } = tf.valueAndGrads((z: tf.Tensor, v: tf.Tensor, g: tf.Tensor) =>
        tf.sum(prototypeLogits(z, v, g)),
      )(inputs);
      expect(value.dataSync()[0]).toBe(0);
      for (const grad of grads) expect(grad.dataSync().every(Number.isFinite)).toBe(true);
    });
  });
});

describe('dinoLoss', () => {
  it('refuses what does not belong together', () => {
    const input = { student: [3, 2, 5], teacher: [2, 2, 5], center: [1, 5] };
    const run = (wrong: Partial<typeof input>): unknown => {
      const { student, teacher, center } = { ...input, ...wrong };
      return dinoLoss({
        student: tf.zeros(student),
        teacher: tf.zeros(teacher),
        center: tf.zeros(center),
        teacherTemperature: 0.04,
      });
    };
    expect(codeOf(() => run({}))).toBeUndefined();
    expect(codeOf(() => run({ teacher: [2, 3, 5] }))).toBe('SHAPE_MISMATCH');
    expect(codeOf(() => run({ center: [1, 4] }))).toBe('SHAPE_MISMATCH');
    expect(codeOf(() => run({ student: [1, 2, 5] }))).toBe('BAD_OPTION');
  });
});

describe('without a mask', () => {
  const rows = maskedPatches({ masks: new Uint8Array(24), images: 3, patches: 4, capacity: 5 });

  it('lists padding alone', () => {
    expect(rows.count).toBe(0);
    expect([...rows.weights.data, ...rows.centerWeights.data].every((x) => x === 0)).toBe(true);
  });

  it('the patch loss is 0, with gradient 0, and the center stays', () => {
    tidied(() => {
      const weights = toTensor(rows.weights);
      const logits = toTensor(normal(Rng.of(1, 'patches'), [5, 3]));
      const targets = sinkhornTargets(logits, 0.05, { rows: weights });
      const { value, grad } = tf.valueAndGrad((student: tf.Tensor) =>
        ibotLoss({ student, targets, weights, crops: 6 }),
      )(logits);
      expect(value.dataSync()[0]).toBe(0);
      expect(grad.dataSync().every((x) => Math.abs(x) === 0)).toBe(true);
      const center = tf.tensor([1, 2, 3], [1, 1, 3]);
      const next = updateCenter(center, logits, 0.9, toTensor(rows.centerWeights));
      expect(toHost(next)).toEqual(toHost(center));
    });
  });
});

describe('maskedPatches', () => {
  // Two crops of four images of three patches; images 0, 1 are one group and 2, 3 another.
  const masks = [
    [1, 1, 0],
    [0, 0, 0],
    [0, 0, 0],
    [1, 0, 0],
    [0, 0, 1],
    [0, 0, 0],
    [0, 0, 0],
    [0, 0, 0],
  ].flat();

  it('weighs rows by crop, and the center by group', () => {
    const found = maskedPatches({ masks, images: 4, patches: 3, groups: 2, capacity: 6 });
    expect(found.count).toBe(4);
    expect([...found.indices.data]).toEqual([0, 1, 9, 14, 0, 0]);
    expect([...found.weights.data]).toEqual([0.5, 0.5, 1, 1, 0, 0]);
    expect(found.centerWeights.data).toBeAllclose([1 / 6, 1 / 6, 1 / 2, 1 / 6, 0, 0]);
  });

  it('leaves groups without mask out of the center', () => {
    const found = maskedPatches({ masks, images: 4, patches: 3, groups: 4, capacity: 4 });
    expect(found.centerWeights.data).toBeAllclose([1 / 6, 1 / 6, 1 / 2, 1 / 6]);
  });

  it.each([
    { masks, images: 4, patches: 3, capacity: 3 },
    { masks, images: 4, patches: 4, capacity: 9 },
    { masks, images: 4, patches: 3, groups: 3, capacity: 9 },
  ])('refuses $images images, $patches patches, capacity $capacity', (wrong) => {
    expect(codeOf(() => maskedPatches(wrong))).toBe('BAD_OPTION');
  });
});
