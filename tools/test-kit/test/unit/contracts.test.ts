import '@tensorflow/tfjs';
import { SslError, type HostTensor } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { backboneContract, lossContract } from '../../src/index.js';
import { normalTensor } from '../../src/tensors.js';

await tf.setBackend('cpu');

const withoutGradient = tf.customGrad((x) => {
  const value = tf.clone(x as tf.Tensor);
  return { value, gradFunc: (dy: tf.Tensor) => tf.zerosLike(dy) };
});

// The suites themselves must be passable: a mean squared error and a linear backbone pass them.
lossContract({
  name: 'mean squared error',
  sizes: { batch: 4, width: 3 },
  inputs: (rng, { batch, width }): Record<string, HostTensor> => ({
    student: normalTensor(rng, [batch, width]),
    teacher: normalTensor(rng, [batch, width]),
  }),
  loss: ({ student, teacher }) => {
    if (student.shape[0] < 2) {
      throw new SslError('SHAPE_MISMATCH', { where: 'test', expected: 'B >= 2', got: 'B = 1', fix: 'pass more rows' });
    }
    const loss = tf.tidy(() => tf.mean(tf.square(tf.sub(student, withoutGradient(teacher)))));
    return { loss };
  },
  student: ['student'],
  teacher: ['teacher'],
  batchAxis: { student: 0, teacher: 0 },
  refuses: [{ sizes: { batch: 1, width: 3 }, code: 'SHAPE_MISMATCH' }],
});

backboneContract({
  name: 'mean colour, then a linear map',
  backbone: {
    init: (rng) => ({ weight: normalTensor(rng, [3, 5]), unused: normalTensor(rng, [1]) }),
    apply: ({ weight }, images) => tf.tidy(() => ({ cls: tf.matMul(tf.mean(images, [1, 2]), weight as tf.Tensor2D) })),
  },
  sizes: [
    { images: [2, 4, 4, 3], outputs: { cls: [2, 5] } },
    { images: [1, 2, 6, 3], outputs: { cls: [1, 5] } },
  ],
  withoutGradient: ['unused'],
});
