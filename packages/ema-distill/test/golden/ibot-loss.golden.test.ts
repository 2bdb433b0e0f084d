import { fixtureCases } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { ibotLoss, maskedPatches, sinkhornTargets, softmaxTargets, updateCenter } from '../../src/index.js';
import { tidied, toHost, toTensor } from '../tensors.js';

describe.each(fixtureCases('ssl/loss-ibot'))('$name', (fixture) => {
  const { K, crops, temps, N, ...hyper } = fixture.json['hyper'];

  it('gives the same rows, targets, losses, gradients and center over the calls', () => {
    tidied(() => {
      let center: tf.Tensor = tf.zeros([1, 1, K]);
      temps.forEach((temperature: number, call: number) => {
        const student = toTensor(fixture.tensor(`call${call}/student`));
        const teacher = toTensor(fixture.tensor(`call${call}/teacher`));
        const capacity = student.shape[0];
        const masks = fixture.tensor(`call${call}/masks`).data;
        // To the loss every crop is an image of its own.
        const rows = maskedPatches({ masks, crops: 1, images: crops, patches: N, capacity });
        const count = rows.count;
        const expectedIndices = fixture.tensor(`call${call}/mask_indices`).data;
        expect(rows.indices.data.subarray(0, count)).toEqual(Int32Array.from(expectedIndices));
        const expectedWeights = fixture.tensor(`call${call}/masks_weight`).data;
        expect(rows.weights.data.subarray(0, count)).toBeAllclose(expectedWeights, { rtol: 1e-6, atol: 0 });

        const maxRel = fixture.tolerance(`call${call}`);
        const weights = toTensor(rows.weights);
        const sinkhorn = hyper.centering === 'sinkhorn_knopp';
        if (!sinkhorn) {
          expect(toHost(center)).toBeAllclose(fixture.tensor(`call${call}/center_used`), { maxRel, atol: 1e-12 });
        }
        const targets = sinkhorn
          ? sinkhornTargets(teacher, temperature, { iterations: hyper.sk_iters, rows: weights })
          : softmaxTargets(teacher, center, temperature);
        const target = fixture.tensor(`call${call}/target`);
        expect(toHost(tf.slice(targets, [0, 0], [count, K]))).toBeAllclose(target, { maxRel });
        center = updateCenter(center, teacher, hyper.center_momentum, toTensor(rows.centerWeights));

        const lossOf = (logits: tf.Tensor): tf.Tensor =>
          ibotLoss({ student: logits, targets, weights, crops, studentTemperature: hyper.student_temp });
        const { value, grad } = tf.valueAndGrad(lossOf)(student);
        const rtol = fixture.tolerance('scalar');
        expect(value.dataSync()[0]).toBeAllclose(fixture.scalar(`call${call}/loss`), { rtol, atol: 0 });
        expect(value.dataSync()[0]).toBeAllclose(fixture.scalar(`call${call}/loss_no_weight`), { rtol, atol: 0 });
        expect(toHost(grad)).toBeAllclose(fixture.tensor(`call${call}/grad_student`), { maxRel });
      });
      if (hyper.centering !== 'centering') return;
      const maxRel = fixture.tolerance('center_final');
      expect(toHost(center)).toBeAllclose(fixture.tensor('center_final'), { maxRel });
    });
  });
});
