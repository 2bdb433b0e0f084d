import {
  dropPathRates,
  subsetSize,
  vit,
  type DropPathOptions,
  type DropPathSubset,
  type VitOutput,
} from '@selfsup/backbone-vit';
import { fixtureCases, type FixtureCase } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  below,
  configOf,
  expectParametersOf,
  gradientsOf,
  hostOf,
  joined,
  read,
  toImages,
  toTensor,
  toTensors,
} from '../support.js';

beforeAll(() => tf.setBackend('cpu'));

interface Drop {
  readonly block: number;
  readonly rate: number;
  readonly scale?: number;
  readonly global?: { b: number; k: number; scale: number };
  readonly local?: { b: number; k: number; scale: number };
}

const groupsOf = (fixture: FixtureCase): ('global' | 'local')[] =>
  (['global', 'local'] as const).filter((group) => `${group}/input` in fixture.tensors());

/** Masks or subsets of a crop group, by our names. */
function dropsOf(fixture: FixtureCase, group: string, scales: 'as-shape' | 'as-data'): DropPathOptions {
  const named = <T>(prefix: string, make: (tensor: tf.Tensor2D, name: string) => T): Record<string, T> =>
    Object.fromEntries(
      Object.entries(below(fixture, prefix)).map(([block, host]) => [
        block.replace('block', 'blocks.'),
        make(toTensor(host) as tf.Tensor2D, block),
      ]),
    );
  const keep = named(`keep/${group}/`, (mask) => mask);
  const subsets = named(`subset/${group}/`, (rows, name): DropPathSubset => {
    if (scales === 'as-shape') return { rows: tf.cast(rows, 'int32') };
    // One filler more: row 0 with factor 0 adds nothing, whether row 0 is chosen or not.
    const drop = (fixture.json.hyper.drop as Drop[]).find(({ block }) => `block${block}` === name);
    const factor = drop?.[group as 'global']?.scale ?? NaN;
    return {
      rows: tf.cast(tf.concat([rows, tf.zeros<tf.Rank.R2>([2, 1])], 1), 'int32'),
      scale: tf.concat([tf.fill(rows.shape, factor), tf.zeros<tf.Rank.R2>([2, 1])], 1) as tf.Tensor2D,
    };
  });
  return {
    ...(Object.keys(keep).length > 0 ? { keep } : {}),
    ...(Object.keys(subsets).length > 0 ? { subsets } : {}),
  };
}

describe.each(fixtureCases('ssl/vit-droppath-v1'))('$name', (fixture) => {
  const config = configOf(fixture.json, 'dino');
  const backbone = vit(config);
  const host = below(fixture, 'param/');
  const expected = (name: string): ReturnType<typeof hostOf> => hostOf(fixture.tensor(name));
  const drops = fixture.json.hyper.drop as Drop[];

  it('has the rates of the original', () => {
    expect(dropPathRates(config)).toBeAllclose(
      drops.map(({ rate }) => rate),
      { rtol: 1e-12, atol: 0 },
    );
  });

  it('gives outputs and gradients with the recorded masks', () => {
    tf.tidy(() => {
      const params = toTensors(host);
      const groups = groupsOf(fixture);
      const images = Object.fromEntries(groups.map((group) => [group, toImages(fixture, `${group}/input`)]));
      const score = (group: string): tf.Tensor => {
        const options = dropsOf(fixture, group, 'as-shape');
        const { cls, preNorm } = backbone.apply(params, images[group], { ...options, preNorm: true });
        expect(read(cls)).toBeAllclose(expected(`${group}/cls`), { maxRel: fixture.tolerance(group) });
        if (preNorm === undefined) throw new Error('asked for the tokens before the norm');
        expect(read(joined(preNorm))).toBeAllclose(expected(`${group}/tokens`), { maxRel: fixture.tolerance(group) });
        // The gradient runs through the shorter way, so that both are held against the original.
        return tf.sum(tf.mul(backbone.applyCls(params, images[group], options), toTensor(expected(`${group}/W`))));
      };
      const { value, gradients } = gradientsOf({ ...params, ...images }, () => tf.addN(groups.map(score)));
      expect(value).toBeAllclose(fixture.scalar('L'), { rtol: fixture.tolerance('scalar'), atol: 0 });
      for (const [name, gradient] of Object.entries(below(fixture, 'grad/'))) {
        expect(read(gradients[name]), name).toBeAllclose(gradient, { maxRel: fixture.tolerance('grad') });
      }
      for (const group of groups) {
        const got = read(tf.transpose(gradients[group], [0, 3, 1, 2]));
        expect(got, group).toBeAllclose(expected(`${group}/grad_input`), { maxRel: fixture.tolerance(group) });
      }
    });
  });
});

describe.each(fixtureCases('ssl/vit-droppath-v2'))('$name', (fixture) => {
  const { hyper } = fixture.json;
  const config = configOf(fixture.json, 'dinov2');
  const backbone = vit(config);
  const host = below(fixture, 'param/');
  const expected = (name: string): ReturnType<typeof hostOf> => hostOf(fixture.tensor(name));
  const drops = hyper.drop as Drop[];

  it('has the parameters of the original', () => expectParametersOf(fixture, backbone.parameterSpecs()));

  it('has the rates, subset sizes and factors of the original', () => {
    const rates = dropPathRates(config);
    expect(rates.filter((rate) => rate > 0).length).toBe(drops.length);
    for (const drop of drops) {
      expect(rates[drop.block]).toBeAllclose(drop.rate, { rtol: 1e-6, atol: 0 });
      for (const { b, k, scale } of [drop.global, drop.local].filter((group) => group !== undefined)) {
        expect(subsetSize(b, rates[drop.block])).toBe(k);
        expect(b / k).toBe(scale);
      }
    }
  });

  const how = drops.some((drop) => drop.global !== undefined)
    ? (['as-shape', 'as-data'] as const)
    : (['as-shape'] as const);
  it.each(how)('gives outputs and gradients with the recorded choices, factors %s', (scales) => {
    tf.tidy(() => {
      const params = toTensors(host);
      const groups = groupsOf(fixture);
      const images = Object.fromEntries(groups.map((group) => [group, toImages(fixture, `${group}/input`)]));
      const score = (group: 'global' | 'local'): tf.Tensor => {
        const near = { maxRel: fixture.tolerance(group) };
        const mask = group === 'global' ? { mask: toTensor(expected('masks')) as tf.Tensor2D } : {};
        const options = { ...dropsOf(fixture, group, scales), ...mask, preNorm: true };
        const output: VitOutput = backbone.apply(params, images[group], options);
        const normed = joined(output);
        if (output.preNorm === undefined) throw new Error('asked for the tokens before the norm');
        const preNorm = joined(output.preNorm);
        expect(read(normed)).toBeAllclose(expected(`${group}/norm`), near);
        expect(read(preNorm)).toBeAllclose(expected(`${group}/prenorm`), near);
        const w = toTensor(expected(`${group}/W`));
        return tf.sum(tf.mul(tf.add(normed, tf.mul(preNorm, 0.3)), w));
      };
      const { value, gradients } = gradientsOf({ ...params, ...images }, () => tf.addN(groups.map(score)));
      expect(value).toBeAllclose(fixture.scalar('L'), { rtol: fixture.tolerance('scalar'), atol: 0 });
      for (const [name, gradient] of Object.entries(below(fixture, 'grad/'))) {
        expect(read(gradients[name]), name).toBeAllclose(gradient, { maxRel: fixture.tolerance('grad') });
      }
      for (const group of groups) {
        const got = read(tf.transpose(gradients[group], [0, 3, 1, 2]));
        expect(got, group).toBeAllclose(expected(`${group}/grad_input`), { maxRel: fixture.tolerance(group) });
      }
    });
  });

  it('gives the same CLS token the short way', () => {
    tf.tidy(() => {
      const params = toTensors(host);
      for (const group of groupsOf(fixture)) {
        const mask = group === 'global' ? { mask: toTensor(expected('masks')) as tf.Tensor2D } : {};
        const options = { ...dropsOf(fixture, group, 'as-shape'), ...mask };
        const images = toImages(fixture, `${group}/input`);
        const { cls } = backbone.apply(params, images, options);
        expect(read(backbone.applyCls(params, images, options))).toBeAllclose(read(cls), { maxRel: 2e-6 });
      }
    });
  });
});
