import { type DropPathOptions, type DropPathSubset, vit } from '@selfsup/backbone-vit';
import type { FixtureCase } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import {
  type Found,
  type GoldenFunction,
  gradientsOf,
  type HostNumbers,
  type NamedNumbers,
  type NamedTensors,
  prefixed,
  under,
} from '@selfsup/test-kit/golden-case';
import { configOf, definedPreNorm, expectScore, joined, scoreOf, toImages } from '../support.js';

/** A block's rate in a fixture, and its subsets where it has them: k of b rows, residuals times scale. */
export interface Drop {
  readonly block: number;
  readonly rate: number;
  readonly scale?: number;
  readonly global?: { b: number; k: number; scale: number };
  readonly local?: { b: number; k: number; scale: number };
}

type Group = 'global' | 'local';

/** How factors of subsets are given: by the number of rows, or as data with fillers. */
type Scales = 'as-shape' | 'as-data';

const groupsOf = (fixture: FixtureCase): Group[] =>
  (['global', 'local'] as const).filter((group) => `${group}/input` in fixture.tensors());

/** All rows as a subset, each with the factor that its mask makes: where a fixture has masks for some blocks alone. */
function subsetOf(keep: tf.Tensor2D, keepProbability: number): DropPathSubset {
  const rows = tf.tile(tf.range(0, keep.shape[1], 1, 'int32').expandDims<tf.Tensor2D>(0), [2, 1]);
  return { rows, scale: tf.div<tf.Tensor2D>(keep, keepProbability) };
}

/** Masks or subsets of a crop group, by our names. */
function dropsOf(fixture: FixtureCase, group: Group, scales: Scales, inputs: NamedTensors): DropPathOptions {
  const named = <T>(prefix: string, make: (tensor: tf.Tensor2D, name: string) => T): Record<string, T> =>
    Object.fromEntries(
      Object.entries(under(prefix, inputs)).map(([block, tensor]) => [
        block.replace('block', 'blocks.'),
        make(tensor as tf.Tensor2D, block),
      ]),
    );
  const dropOf = (name: string): Drop | undefined =>
    (fixture.json.hyper.drop as Drop[]).find(({ block }) => `block${block}` === name);
  const keep = named(`keep/${group}/`, (mask) => mask);
  const subsets = named(`subset/${group}/`, (rows, name): DropPathSubset => {
    if (scales === 'as-shape') return { rows: tf.cast(rows, 'int32') };
    // One filler more: row 0 with factor 0 adds nothing, whether row 0 is chosen or not.
    const factor = dropOf(name)?.[group]?.scale ?? NaN;
    return {
      rows: tf.cast(tf.concat([rows, tf.zeros<tf.Rank.R2>([2, 1])], 1), 'int32'),
      scale: tf.concat([tf.fill(rows.shape, factor), tf.zeros<tf.Rank.R2>([2, 1])], 1) as tf.Tensor2D,
    };
  });
  if (Object.keys(subsets).length === 0) return Object.keys(keep).length > 0 ? { keep } : {};
  // The single-tensor path has masks for rates up to 0.1 and subsets above; one call takes either.
  const masked = named(`keep/${group}/`, (mask, name) => subsetOf(mask, 1 - (dropOf(name)?.rate ?? NaN)));
  return { subsets: { ...masked, ...subsets } };
}

/** Everything a fixture gives to the network. */
function inputsOf(fixture: FixtureCase): NamedNumbers {
  const isInput = (name: string): boolean => /^(param|keep|subset)\/|^masks$|\/(input|W)$/.test(name);
  return Object.fromEntries(Object.entries(fixture.tensors()).filter(([name]) => isInput(name)));
}

/**
 * What `run` finds for every crop group, by the fixture's names, and the gradients of the score that its `weighted`
 * outputs make with the fixture's W.
 */
function runGroups(
  groups: readonly Group[],
  inputs: NamedTensors,
  run: (images: tf.Tensor4D, group: Group) => NamedTensors & { weighted: tf.Tensor },
): NamedTensors {
  const params = under('param/', inputs);
  const pictures = Object.fromEntries(groups.map((group) => [`${group}/input`, inputs[`${group}/input`]]));
  const { outputs, gradients } = gradientsOf({ ...prefixed('grad/', params), ...pictures }, () => {
    const found = groups.map((group) => prefixed(`${group}/`, run(toImages(inputs[`${group}/input`]), group)));
    const all = Object.assign({}, ...found) as NamedTensors;
    return { ...all, ...scoreOf(...groups.map((group) => tf.mul(all[`${group}/weighted`], inputs[`${group}/W`]))) };
  });
  const renamed = Object.entries(gradients).map(([name, gradient]) => [
    name.replace('/input', '/grad_input'),
    gradient,
  ]);
  return { ...outputs, ...(Object.fromEntries(renamed) as NamedTensors) };
}

/** Everything in the fixture that is not an input was found. */
function checkGroups(fixture: FixtureCase, inputs: NamedNumbers, found: Found['outputs']): void {
  for (const [name, tensor] of Object.entries(fixture.tensors())) {
    if (name in inputs) continue;
    const [group] = name.split('/');
    expect(found[name], name).toBeAllclose(tensor, { maxRel: fixture.tolerance(group) });
  }
  expectScore(fixture, 'L', found);
}

/** Outputs and gradients of a `ssl/vit-droppath-v1` fixture with its masks. */
export function dropPathV1Cases(fixture: FixtureCase): GoldenFunction[] {
  const backbone = vit(configOf(fixture.json, 'dino'));
  const inputs = inputsOf(fixture);
  return [
    {
      name: 'recorded masks',
      inputs,
      compute: (inputs) => {
        const params = under('param/', inputs);
        return runGroups(groupsOf(fixture), inputs, (images, group) => {
          const options = dropsOf(fixture, group, 'as-shape', inputs);
          const output = backbone.apply(params, images, { ...options, preNorm: true });
          // The gradient runs through the shorter way, so that both are held against the original.
          const weighted = backbone.applyCls(params, images, options);
          return { cls: output.cls, tokens: joined(definedPreNorm(output)), weighted };
        });
      },
      check: (found) => checkGroups(fixture, inputs, found),
    },
  ];
}

/** Outputs and gradients of a `ssl/vit-droppath-v2` fixture with its masks or subsets. */
export function dropPathV2Cases(fixture: FixtureCase): GoldenFunction[] {
  const backbone = vit(configOf(fixture.json, 'dinov2'));
  const groups = groupsOf(fixture);
  const inputs = inputsOf(fixture);
  const drops = fixture.json.hyper.drop as Drop[];
  const given: Scales[] = drops.some(({ global }) => global !== undefined) ? ['as-shape', 'as-data'] : ['as-shape'];
  return given.map((scales) => ({
    name: `recorded choices, factors ${scales}`,
    inputs,
    compute: (inputs) => {
      const params = under('param/', inputs);
      return runGroups(groups, inputs, (images, group) => {
        const mask = group === 'global' ? { mask: inputs['masks'] as tf.Tensor2D } : {};
        const options = { ...dropsOf(fixture, group, scales, inputs), ...mask };
        const output = backbone.apply(params, images, { ...options, preNorm: true });
        const [norm, prenorm] = [joined(output), joined(definedPreNorm(output))];
        const clsAlone = backbone.applyCls(params, images, options);
        return { norm, prenorm, clsAlone, weighted: tf.add(norm, tf.mul(prenorm, 0.3)) };
      });
    },
    check: (found) => {
      checkGroups(fixture, inputs, found);
      for (const group of groups) {
        const cls = firstTokens(fixture.tensor(`${group}/norm`));
        expect(found[`${group}/clsAlone`], group).toBeAllclose(cls, { maxRel: fixture.tolerance(group) });
      }
    },
  }));
}

/** `[B, D]` of `[B, T, D]`. */
function firstTokens({ shape: [rows, tokens, width], data }: HostNumbers): HostNumbers {
  const cls = Array.from(
    { length: rows * width },
    (_, i) => data[Math.floor(i / width) * tokens * width + (i % width)],
  );
  return { shape: [rows, width], data: cls };
}
