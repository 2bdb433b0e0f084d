import { dinoCrossEntropy, meanEntropy, softmaxTargets, updateCenter } from '@selfsup/ema-distill';
import { stopGradient } from '@selfsup/ops';
import { perEpoch, teacherTemperatureSchedule } from '@selfsup/optim';
import * as tf from '@tensorflow/tfjs-core';
import type { DinoConfig } from '../config/types.js';
import type { Method } from '../training/method.js';

const CENTER = 'center.cls';

/**
 * DINO's loss: cross entropy of the student's prototypes with the teacher's, centred and sharpened. The centre is the
 * running mean of the teacher's outputs over all images of a step, whatever groups they are in.
 */
export function dinoMethod({ loss, head }: Pick<DinoConfig, 'loss' | 'head'>): Method {
  const { start, end, warmupEpochs } = loss.teacherTemperature;
  const perEpochTemperature = teacherTemperatureSchedule({ start, end, warmupSteps: warmupEpochs });
  return {
    state: { [CENTER]: { shape: [1, head.prototypes], dtype: 'f32' } },
    batch: { teacherTemperature: { shape: [], dtype: 'f32' } },
    scalars: (step, { stepsPerEpoch }) => ({
      teacherTemperature: Float32Array.of(perEpoch(perEpochTemperature, stepsPerEpoch)(step)),
    }),
    terms: [],
    separable: 'images',
    diagnosed: 'cls',
    objective: ({ student, teacher }, state, batch) => {
      const targets = softmaxTargets(stopGradient(teacher), state[CENTER], batch['teacherTemperature'] as tf.Scalar);
      const crossEntropy = dinoCrossEntropy(student, targets, loss.studentTemperature) as tf.Scalar;
      const teacherEntropy = meanEntropy(targets);
      return { loss: crossEntropy, parts: { teacherEntropy, divergence: tf.sub(crossEntropy, teacherEntropy) } };
    },
    nextState: (teacherMean, state) => ({ [CENTER]: updateCenter(state[CENTER], teacherMean, loss.centerMomentum) }),
  };
}
