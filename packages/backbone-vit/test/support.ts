import '@tensorflow/tfjs';
import '@selfsup/test-kit';
import type { HostTensor, Specs } from '@selfsup/core';
import type { FixtureCase, FixtureJson } from '@selfsup/test-kit';
import { expect } from 'vitest';
import * as tf from '@tensorflow/tfjs-core';
import { unchunked } from '@selfsup/test-kit/golden-case';
import { vitConfig, type VitConfig, type VitOutput, type VitOverrides, type VitTokens } from '@selfsup/backbone-vit';

function toTensor({ shape, data }: HostTensor): tf.Tensor {
  return tf.tensor(Float32Array.from(data), [...shape]);
}

/** NCHW pictures of a fixture as NHWC. */
export function toImages(pictures: tf.Tensor): tf.Tensor4D {
  return tf.transpose(pictures, [0, 2, 3, 1]) as tf.Tensor4D;
}

export function toTensors(hosts: Readonly<Record<string, HostTensor>>): Record<string, tf.Tensor> {
  return Object.fromEntries(Object.entries(hosts).map(([name, host]) => [name, toTensor(host)]));
}

/** Shape and data of a tensor, for comparisons. */
export function read(tensor: tf.Tensor): { shape: number[]; data: Float32Array } {
  return { shape: tensor.shape, data: tensor.dataSync() as Float32Array };
}

/** Configuration of a fixture, whichever of the authors' option names it uses. */
export function configOf({ hyper: h }: FixtureJson, flavour: 'dino' | 'dinov2'): VitConfig {
  const v2: VitOverrides = {
    ffn: h.ffn_layer === 'mlp' ? 'mlp' : 'swiglu',
    registers: h.num_register_tokens,
    layerScale: h.layerscale ? 1e-5 : undefined,
    interpolation: { antialias: h.interpolate_antialias, offset: h.interpolate_offset },
    dropPathRule: h.drop_path_uniform === false ? (h.repo === 'simdinov2' ? 'linear-float32' : 'linear') : 'uniform',
  };
  return vitConfig('vit_small', {
    flavour,
    ...(flavour === 'dinov2' ? v2 : {}),
    imageSize: h.img_size ?? h.img,
    patchSize: h.patch_size ?? h.patch,
    channels: h.in_chans ?? 3,
    width: h.embed_dim ?? h.embed,
    depth: h.depth,
    heads: h.num_heads ?? h.heads,
    mlpRatio: h.mlp_ratio ?? h.mlp,
    qkvBias: h.qkv_bias ?? true,
    layerNormEps: h.ln_eps,
    dropPathRate: h.drop_path ?? 0,
  });
}

/** All tokens in the authors' order. */
export function joined({ cls, registers, patches }: VitTokens): tf.Tensor3D {
  return tf.concat([tf.expandDims(cls, 1), ...(registers ? [registers] : []), patches] as tf.Tensor3D[], 1);
}

/** The tokens before the final norm, which were asked for. */
export function definedPreNorm({ preNorm }: VitOutput): VitTokens {
  if (preNorm === undefined) throw new Error('asked for the tokens before the norm');
  return preNorm;
}

/**
 * The score that a fixture takes gradients of, the sum of all terms, and what float32 may lose of it: four units of
 * rounding per term, added up as random errors are, and one unit per partial sum of a program that adds terms in a row
 * (a random walk, whose partial sums have half the terms' energy on average).
 */
export function scoreOf(...terms: tf.Tensor[]): { value: tf.Tensor; rounding: tf.Tensor } {
  const all = tf.concat(terms.map((term) => tf.reshape(term, [-1])));
  const units = 4 + Math.sqrt(all.size / 2);
  return { value: tf.sum(all), rounding: tf.mul(tf.norm(all), units * 2 ** -24) };
}

/** A score is what the fixture says. Where its terms cancel, the fixture's tolerance can fall below their rounding. */
export function expectScore(
  fixture: FixtureCase,
  name: string,
  { value, rounding }: Readonly<Record<string, HostTensor>>,
): void {
  const score = fixture.scalar(name);
  const atol = Math.max(fixture.tolerance('scalar') * Math.abs(score), rounding.data[0]);
  expect(value.data[0], name).toBeAllclose(score, { rtol: 0, atol });
}

/** Names and shapes of the state dict; the authors' programs differ in the order. */
export function expectParametersOf(fixture: FixtureCase, specs: Specs): void {
  const stored = Object.entries(fixture.json.tensors as Record<string, { shape: number[] }>);
  const expected = stored.filter(([name]) => name.startsWith('param/'));
  expect(expected.length).toBeGreaterThan(0);
  expect(Object.fromEntries(Object.entries(specs).map(([name, { shape }]) => [name, shape]))).toEqual(
    unchunked(Object.fromEntries(expected.map(([name, { shape }]) => [name.slice('param/'.length), shape]))),
  );
}
