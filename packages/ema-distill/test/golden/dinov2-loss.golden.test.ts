import { fixtureCases } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { dinov2ClsLoss, sinkhornTargets, softmaxTargets, updateCenter } from '../../src/index.js';
import { tidied, toHost, toTensor } from '../tensors.js';

describe.each(fixtureCases('ssl/loss-dinov2-cls'))('$name', (fixture) => {
  const { K, B, V, temps, ...hyper } = fixture.json['hyper'];

  it('gives the same targets, losses, gradients and center over the calls', () => {
    tidied(() => {
      let center: tf.Tensor = tf.zeros([1, K]);
      temps.forEach((temperature: number, call: number) => {
        const maxRel = fixture.tolerance(`call${call}`);
        const teacher = toTensor(fixture.tensor(`call${call}/teacher`), [2, B, K]);
        const sinkhorn = hyper.centering === 'sinkhorn_knopp';
        if (!sinkhorn) {
          expect(toHost(center)).toBeAllclose(fixture.tensor(`call${call}/center_used`), { maxRel, atol: 1e-12 });
        }
        const targets = sinkhorn
          ? sinkhornTargets(teacher, tf.scalar(temperature), { iterations: hyper.sk_iters })
          : softmaxTargets(teacher, center, tf.scalar(temperature));
        center = updateCenter(center, teacher, hyper.center_momentum);
        // The authors keep the teacher's crops swapped.
        expect(toHost(tf.reverse(targets, 0))).toBeAllclose(fixture.tensor(`call${call}/target`), { maxRel });

        const globals = toTensor(fixture.tensor(`call${call}/student_global`), [2, B, K]);
        const locals = V > 0 ? toTensor(fixture.tensor(`call${call}/student_local`), [V, B, K]) : undefined;
        const student = locals === undefined ? globals : tf.concat([globals, locals], 0);
        const lossOf = (logits: tf.Tensor): ReturnType<typeof dinov2ClsLoss> =>
          dinov2ClsLoss({ student: logits, targets, studentTemperature: hyper.student_temp });
        const { local, global, loss } = lossOf(student);
        const rtol = fixture.tolerance('scalar');
        const parts = [fixture.scalar(`call${call}/global`), V > 0 ? fixture.scalar(`call${call}/local`) : 0];
        expect(global.dataSync()[0]).toBeAllclose(parts[0], { rtol, atol: 0 });
        expect(local.dataSync()[0]).toBeAllclose(parts[1], { rtol, atol: 0 });
        expect(loss.dataSync()[0]).toBeAllclose(parts[0] + parts[1], { rtol, atol: 0 });

        const gradient = tf.grad((logits: tf.Tensor) => lossOf(logits).loss)(student);
        const part = (start: number, count: number): Float32Array =>
          tf.slice(gradient, [start, 0, 0], [count, B, K]).dataSync<'float32'>();
        expect(part(0, 2)).toBeAllclose(fixture.tensor(`call${call}/grad_global`).data, { maxRel });
        if (V > 0) expect(part(2, V)).toBeAllclose(fixture.tensor(`call${call}/grad_local`).data, { maxRel });
      });
      if (hyper.centering !== 'centering') return;
      const maxRel = fixture.tolerance('center_final');
      expect(toHost(center)).toBeAllclose(fixture.tensor('center_final'), { maxRel });
    });
  });
});
