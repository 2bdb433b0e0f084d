import { type HostTensor, Rng, SslError, type SslErrorCode } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { gradientsOf, reordered, toTensor } from '../tensors.js';

/** A loss, and how to feed it. */
export interface LossContract<Sizes> {
  readonly name: string;
  /** Sizes to run everything on. */
  readonly sizes: Sizes;
  /** Valid random inputs of these sizes. */
  readonly inputs: (rng: Rng, sizes: Sizes) => Record<string, HostTensor>;
  /** Total under `loss`, and its parts; anything that is not a scalar is not looked at. */
  readonly loss: (inputs: Record<string, tf.Tensor>, sizes: Sizes) => Record<string, tf.Tensor>;
  /** Inputs that receive gradients. */
  readonly student: readonly string[];
  /** Inputs that must not receive any. */
  readonly teacher: readonly string[];
  /** Axis of the images in each input: reordering the images leaves the loss as it is. Left out where that is not so. */
  readonly batchAxis?: Readonly<Record<string, number>>;
  /** Inputs where all images look the same, and the total there. */
  readonly collapsed?: { readonly inputs: (sizes: Sizes) => Record<string, HostTensor>; readonly loss: number };
  /** Sizes the loss must refuse, and the code of the error. */
  readonly refuses?: readonly { readonly sizes: Sizes; readonly code: SslErrorCode }[];
  /** Relative error allowed between gradient and central difference, in float32. Default 2e-2. */
  readonly gradientTolerance?: number;
}

/**
 * What holds for every loss: a finite scalar with finite parts, the same for any order of images, with the gradient its
 * values say, none for the teacher, tidy, and clear about sizes it cannot take.
 * Needs a tfjs backend with gradients (import `@tensorflow/tfjs` first).
 */
export function lossContract<Sizes>(contract: LossContract<Sizes>): void {
  const { sizes, student, teacher } = contract;
  const inputs = contract.inputs(Rng.of(1, 'loss-contract'), sizes);
  const total = (tensors: Record<string, tf.Tensor>): tf.Tensor => contract.loss(tensors, sizes)['loss'];
  const evaluate = (given: Record<string, HostTensor>): Record<string, number> =>
    tf.tidy(() => {
      const tensors = Object.fromEntries(Object.entries(given).map(([name, host]) => [name, toTensor(host)]));
      const scalars = Object.entries(contract.loss(tensors, sizes)).filter(([, tensor]) => tensor.size === 1);
      return Object.fromEntries(scalars.map(([name, tensor]) => [name, tensor.dataSync()[0]]));
    });

  describe(`loss contract: ${contract.name}`, () => {
    it('is a finite scalar with finite parts, the same every time', () => {
      const parts = evaluate(inputs);
      expect(Object.keys(parts)).toContain('loss');
      for (const [name, value] of Object.entries(parts)) expect(Number.isFinite(value), name).toBe(true);
      expect(evaluate(inputs)).toEqual(parts);
    });

    it('leaves its inputs alone and only its results behind', () => {
      const tensors = Object.fromEntries(Object.entries(inputs).map(([name, host]) => [name, toTensor(host)]));
      const before = tf.memory().numTensors;
      const parts = contract.loss(tensors, sizes);
      expect(tf.memory().numTensors).toBe(before + Object.keys(parts).length);
      for (const [name, tensor] of Object.entries(tensors)) expect(tensor.isDisposed, name).toBe(false);
      tf.dispose([parts, tensors]);
    });

    it('has the gradient its values say', () => {
      const { gradients } = gradientsOf(total, inputs, student);
      const rng = Rng.of(2, 'loss-contract-direction');
      for (const name of student) {
        const gradient = gradients[name];
        expect(gradient, `gradient of ${name}`).toBeDefined();
        expect(gradient?.every(Number.isFinite), `finite gradient of ${name}`).toBe(true);
        const direction = rng.normals(gradient?.length ?? 0);
        // The step balances rounding of the float32 loss against the third derivative.
        const step = 5e-3;
        const moved = (sign: number): number => {
          const data = Float32Array.from(inputs[name].data, (x, i) => x + sign * step * direction[i]);
          return evaluate({ ...inputs, [name]: { ...inputs[name], data } })['loss'];
        };
        const difference = (moved(1) - moved(-1)) / (2 * step);
        const slope = direction.reduce((sum, d, i) => sum + d * (gradient?.[i] ?? 0), 0);
        const norm = Math.hypot(...(gradient ?? []));
        const allowed = (contract.gradientTolerance ?? 2e-2) * Math.max(Math.abs(slope), norm);
        expect(Math.abs(slope - difference), `slope of ${name}: ${slope}, measured ${difference}`).toBeLessThanOrEqual(
          allowed,
        );
      }
    });

    it.runIf(teacher.length > 0)('gives the teacher no gradient', () => {
      const { gradients } = gradientsOf(total, inputs, [...student, ...teacher]);
      for (const name of teacher) expect(gradients[name]?.every((g) => g === 0) ?? true, name).toBe(true);
    });

    const { batchAxis, collapsed } = contract;
    if (batchAxis !== undefined) {
      it('does not depend on the order of images', () => {
        const [first] = Object.entries(batchAxis);
        const order = Rng.of(3, 'loss-contract-order').permutation(inputs[first[0]].shape[first[1]]);
        const shuffled = { ...inputs };
        for (const [name, axis] of Object.entries(batchAxis)) shuffled[name] = reordered(inputs[name], axis, order);
        expect(evaluate(shuffled)['loss']).toBeAllclose(evaluate(inputs)['loss'], { rtol: 1e-4 });
      });
    }
    if (collapsed !== undefined) {
      it('has the known value at collapse, and finite gradients there', () => {
        const given = collapsed.inputs(sizes);
        expect(evaluate(given)['loss']).toBeAllclose(collapsed.loss, { rtol: 1e-4, atol: 1e-5 });
        const { gradients } = gradientsOf(total, given, student);
        for (const name of student) expect(gradients[name]?.every(Number.isFinite), name).toBe(true);
      });
    }
    it.each(contract.refuses ?? [])('refuses $sizes with $code', ({ sizes: wrong, code }) => {
      const tensors = Object.fromEntries(
        Object.entries(contract.inputs(Rng.of(4, 'loss-contract'), wrong)).map(([name, host]) => [
          name,
          toTensor(host),
        ]),
      );
      const before = tf.memory().numTensors;
      let thrown: unknown;
      try {
        contract.loss(tensors, wrong);
      } catch (error) {
        thrown = error;
      }
      expect(SslError.is(thrown) && thrown.code).toBe(code);
      expect((thrown as Error).message).toContain('Fix: ');
      expect(tf.memory().numTensors).toBe(before);
      tf.dispose(tensors);
    });
  });
}
