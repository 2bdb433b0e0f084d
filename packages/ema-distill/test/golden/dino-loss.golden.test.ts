import { fixtureCases } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { dinoLoss } from '../../src/index.js';
import { tidied, toHost, toTensor } from '../tensors.js';

describe.each(fixtureCases('ssl/loss-dino-v1'))('$name', (fixture) => {
  const { hyper, teacher_temp_schedule: temperatures } = fixture.json;
  const { batch, ncrops, out_dim: K } = hyper;

  it('gives the same loss, gradient and center over the calls', () => {
    tidied(() => {
      let center: tf.Tensor = tf.zeros([1, K]);
      hyper.epochs_of_the_calls.forEach((epoch: number, call: number) => {
        const student = toTensor(fixture.tensor(`call${call}/student`), [ncrops, batch, K]);
        const teacher = toTensor(fixture.tensor(`call${call}/teacher`), [2, batch, K]);
        const lossOf = (logits: tf.Tensor): ReturnType<typeof dinoLoss> =>
          dinoLoss({
            student: logits,
            teacher,
            center,
            teacherTemperature: tf.scalar(temperatures[epoch]),
            studentTemperature: hyper.student_temp,
            centerMomentum: hyper.center_momentum,
          });
        const { value, grad } = tf.valueAndGrad((logits: tf.Tensor) => lossOf(logits).loss)(student);
        center = lossOf(student).center;

        const maxRel = fixture.tolerance(`call${call}`);
        const loss = fixture.scalar(`call${call}/loss`);
        expect(value.dataSync()[0]).toBeAllclose(loss, { rtol: fixture.tolerance('scalar'), atol: 0 });
        const gradient = fixture.tensor(`call${call}/grad_student`);
        expect(toHost(grad).data).toBeAllclose(gradient.data, { maxRel });
        expect(toHost(center)).toBeAllclose(fixture.tensor(`call${call}/center`), { maxRel });
      });
    });
  });
});
