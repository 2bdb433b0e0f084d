import { type HostTensor, Rng, sizeOf } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { gradientsOf, normalTensor, toTensor } from '../tensors.js';

/** Anything that turns images into features with named parameters. */
export interface BackboneLike {
  init(rng: Rng): Readonly<Record<string, HostTensor>>;
  /** Images `[B, H, W, C]`, float32, already normalised. */
  apply(params: Record<string, tf.Tensor>, images: tf.Tensor4D): Record<string, unknown>;
}

/** A backbone, and what to expect of it. */
export interface BackboneContract {
  readonly name: string;
  readonly backbone: BackboneLike;
  /** Image sizes to try, and the shapes of the outputs there. The first one is used for everything else. */
  readonly sizes: readonly {
    readonly images: readonly [batch: number, height: number, width: number, channels: number];
    readonly outputs: Readonly<Record<string, readonly number[]>>;
  }[];
  /** Parameters that rightly get no gradient from these outputs (a mask token without a mask). */
  readonly withoutGradient?: readonly string[];
}

/**
 * What holds for every backbone: known output shapes, one finite gradient per parameter, the same answer every time,
 * images independent of each other, parameters that can be stored and loaded by name, no tensors left behind.
 * Needs a tfjs backend with gradients (import `@tensorflow/tfjs` first).
 */
export function backboneContract(contract: BackboneContract): void {
  const { backbone, sizes } = contract;
  const outputNames = Object.keys(sizes[0].outputs);
  const params = backbone.init(Rng.of(1, 'backbone-contract'));
  const images = normalTensor(Rng.of(2, 'backbone-contract'), sizes[0].images);

  const apply = (tensors: Record<string, tf.Tensor>, input: tf.Tensor): Record<string, tf.Tensor> => {
    const outputs = backbone.apply(tensors, input as tf.Tensor4D);
    return Object.fromEntries(outputNames.map((name) => [name, outputs[name] as tf.Tensor]));
  };
  const tensorsOf = (given: Readonly<Record<string, HostTensor>>): Record<string, tf.Tensor> =>
    Object.fromEntries(Object.entries(given).map(([name, host]) => [name, toTensor(host)]));
  const evaluate = (given: Readonly<Record<string, HostTensor>>, input: HostTensor): Record<string, HostTensor> =>
    tf.tidy(() => {
      const outputs = Object.entries(apply(tensorsOf(given), toTensor(input)));
      return Object.fromEntries(
        outputs.map(([name, tensor]) => [
          name,
          { shape: tensor.shape, dtype: 'f32', data: tensor.dataSync() as Float32Array },
        ]),
      );
    });

  describe(`backbone contract: ${contract.name}`, () => {
    it.each(sizes)('gives the expected shapes for images $images', ({ images: shape, outputs }) => {
      const got = evaluate(params, normalTensor(Rng.of(3, 'backbone-contract'), shape));
      for (const [name, expected] of Object.entries(outputs)) {
        expect(got[name].shape, name).toEqual(expected);
        expect(got[name].data.every(Number.isFinite), `${name} is finite`).toBe(true);
      }
    });

    it('starts the same from the same seed, otherwise from another', () => {
      expect(backbone.init(Rng.of(1, 'backbone-contract'))).toEqual(params);
      expect(backbone.init(Rng.of(9, 'backbone-contract'))).not.toEqual(params);
      for (const [name, host] of Object.entries(params)) expect(host.data.length, name).toBe(sizeOf(host.shape));
    });

    it('gives every parameter a finite gradient', () => {
      const weights = Object.fromEntries(
        outputNames.map((name) => [name, normalTensor(Rng.of(4, name), sizes[0].outputs[name])]),
      );
      const names = Object.keys(params).filter((name) => !(contract.withoutGradient ?? []).includes(name));
      const score = (inputs: Record<string, tf.Tensor>): tf.Tensor => {
        const outputs = apply(inputs, toTensor(images));
        return tf.addN(outputNames.map((name) => tf.sum(tf.mul(outputs[name], toTensor(weights[name])))));
      };
      const { gradients } = gradientsOf(score, params, names);
      for (const name of names) {
        const gradient = gradients[name];
        expect(gradient, `gradient of ${name}`).toBeDefined();
        expect(gradient?.length, name).toBe(sizeOf(params[name].shape));
        expect(gradient?.every(Number.isFinite), `finite gradient of ${name}`).toBe(true);
        expect(
          gradient?.some((g) => g !== 0),
          `${name} matters`,
        ).toBe(true);
      }
    });

    it('answers the same every time, also with parameters stored and loaded', () => {
      const first = evaluate(params, images);
      const stored = structuredClone(params);
      expect(evaluate(stored, images)).toEqual(first);
    });

    it('treats images independently of each other', () => {
      const all = evaluate(params, images);
      const [batch, ...rest] = sizes[0].images;
      const one = sizeOf(rest);
      const last = { ...images, shape: [1, ...rest], data: images.data.slice((batch - 1) * one) };
      for (const [name, alone] of Object.entries(evaluate(params, last))) {
        if (all[name].shape[0] !== batch) continue;
        expect(alone.data).toBeAllclose(all[name].data.slice(-alone.data.length), { maxRel: 1e-5 });
      }
    });

    it('leaves its inputs alone and only its outputs behind', () => {
      const tensors = tensorsOf(params);
      const input = toTensor(images) as tf.Tensor4D;
      const before = tf.memory().numTensors;
      const outputs = backbone.apply(tensors, input);
      tf.dispose(outputs as tf.TensorContainer);
      expect(tf.memory().numTensors).toBe(before);
      expect(input.isDisposed).toBe(false);
      for (const [name, tensor] of Object.entries(tensors)) expect(tensor.isDisposed, name).toBe(false);
      tf.dispose([tensors, input]);
    });
  });
}
