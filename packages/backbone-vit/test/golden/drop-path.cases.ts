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
} from '../../../recipes/test/compiled/golden-case.js';
import { configOf, definedPreNorm, joined, toImages } from '../support.js';

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

/** Masks or subsets of a crop group, by our names. */
function dropsOf(fixture: FixtureCase, group: Group, scales: Scales, inputs: NamedTensors): DropPathOptions {
  const named = <T>(prefix: string, make: (tensor: tf.Tensor2D, name: string) => T): Record<string, T> =>
    Object.fromEntries(
      Object.entries(under(prefix, inputs)).map(([block, tensor]) => [
        block.replace('block', 'blocks.'),
        make(tensor as tf.Tensor2D, block),
      ]),
    );
  const keep = named(`keep/${group}/`, (mask) => mask);
  const subsets = named(`subset/${group}/`, (rows, name): DropPathSubset => {
    if (scales === 'as-shape') return { rows: tf.cast(rows, 'int32') };
    // One filler more: row 0 with factor 0 adds nothing, whether row 0 is chosen or not.
    const drop = (fixture.json.hyper.drop as Drop[]).find(({ block }) => `block${block}` === name);
    const factor = drop?.[group]?.scale ?? NaN;
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

/** Gradients with respect to parameters and pictures of the sum of the groups' scores, by the fixture's names. */
function gradientsOfGroups(
  groups: readonly Group[],
  inputs: NamedTensors,
  score: (group: Group) => tf.Tensor,
): NamedTensors {
  const params = under('param/', inputs);
  const pictures = Object.fromEntries(groups.map((group) => [group, inputs[`${group}/input`]]));
  const { value, gradients } = gradientsOf({ ...params, ...pictures }, () => tf.addN(groups.map(score)));
  return {
    L: value,
    ...Object.fromEntries(groups.map((group) => [`${group}/grad_input`, gradients[group]])),
    ...Object.fromEntries(Object.keys(params).map((name) => [`grad/${name}`, gradients[name]])),
  };
}

/** Everything a fixture gives to the network. */
function inputsOf(fixture: FixtureCase): NamedNumbers {
  const isInput = (name: string): boolean => /^(param|keep|subset)\/|^masks$|\/(input|W)$/.test(name);
  return Object.fromEntries(Object.entries(fixture.tensors()).filter(([name]) => isInput(name)));
}

/** Everything else in the fixture was found. */
function checkGroups(fixture: FixtureCase, inputs: NamedNumbers, found: Found['outputs']): void {
  for (const [name, tensor] of Object.entries(fixture.tensors())) {
    if (name in inputs) continue;
    const [group] = name.split('/');
    expect(found[name], name).toBeAllclose(tensor, { maxRel: fixture.tolerance(group) });
  }
  const rtol = fixture.tolerance('scalar');
  expect(found['L'].data[0]).toBeAllclose(fixture.scalar('L'), { rtol, atol: 0 });
}

/** Outputs and gradients of a `ssl/vit-droppath-v1` fixture with its masks. */
export function dropPathV1Cases(fixture: FixtureCase): GoldenFunction[] {
  const backbone = vit(configOf(fixture.json, 'dino'));
  const groups = groupsOf(fixture);
  const inputs = inputsOf(fixture);
  return [
    {
      name: 'recorded masks',
      inputs,
      compute: (inputs) => {
        const params = under('param/', inputs);
        const options = (group: Group): DropPathOptions => dropsOf(fixture, group, 'as-shape', inputs);
        const images = (group: Group): tf.Tensor4D => toImages(inputs[`${group}/input`]);
        const outputs = groups.map((group) => {
          const output = backbone.apply(params, images(group), { ...options(group), preNorm: true });
          return { [`${group}/cls`]: output.cls, [`${group}/tokens`]: joined(definedPreNorm(output)) };
        });
        // The gradient runs through the shorter way, so that both are held against the original.
        const score = (group: Group): tf.Tensor =>
          tf.sum(tf.mul(backbone.applyCls(params, images(group), options(group)), inputs[`${group}/W`]));
        return Object.assign(gradientsOfGroups(groups, inputs, score), ...outputs) as NamedTensors;
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
      const options = (group: Group): DropPathOptions & { mask?: tf.Tensor2D } => ({
        ...dropsOf(fixture, group, scales, inputs),
        ...(group === 'global' ? { mask: inputs['masks'] as tf.Tensor2D } : {}),
      });
      const tokens = (group: Group): Record<'norm' | 'prenorm', tf.Tensor3D> => {
        const images = toImages(inputs[`${group}/input`]);
        const output = backbone.apply(params, images, { ...options(group), preNorm: true });
        return { norm: joined(output), prenorm: joined(definedPreNorm(output)) };
      };
      const outputs = groups.map((group) => ({
        ...prefixed(`${group}/`, tokens(group)),
        [`${group}/cls alone`]: backbone.applyCls(params, toImages(inputs[`${group}/input`]), options(group)),
      }));
      const score = (group: Group): tf.Tensor => {
        const { norm, prenorm } = tokens(group);
        return tf.sum(tf.mul(tf.add(norm, tf.mul(prenorm, 0.3)), inputs[`${group}/W`]));
      };
      return Object.assign(gradientsOfGroups(groups, inputs, score), ...outputs) as NamedTensors;
    },
    check: (found) => {
      checkGroups(fixture, inputs, found);
      for (const group of groups) {
        const cls = firstTokens(fixture.tensor(`${group}/norm`));
        expect(found[`${group}/cls alone`], group).toBeAllclose(cls, { maxRel: fixture.tolerance(group) });
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
