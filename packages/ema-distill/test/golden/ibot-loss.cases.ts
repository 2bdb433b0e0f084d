import type { FixtureCase } from '@selfsup/test-kit';
import { expect } from 'vitest';
import { type GoldenSequence, gradientsOf, type HostNumbers, scalarNumber } from '@selfsup/test-kit/golden-case';
import { ibotLoss, maskedPatches, sinkhornTargets, softmaxTargets, updateCenter } from '../../src/index.js';
import { expectCenter, zeros } from '../tensors.js';

/** The rows of masked patches of a call, with the capacity of the call that needs most. */
export function maskedRows(fixture: FixtureCase, call: number): ReturnType<typeof maskedPatches> {
  const { crops, N, temps } = fixture.json['hyper'];
  const capacities = (temps as number[]).map((_, i) => fixture.tensor(`call${i}/student`).shape[0]);
  // To the loss every crop is an image of its own.
  return maskedPatches({
    masks: fixture.tensor(`call${call}/masks`).data,
    crops: 1,
    images: crops,
    patches: N,
    capacity: Math.max(...capacities),
  });
}

/** The first rows, or zeros after the last. */
function rows({ shape: [, width], data }: HostNumbers, count: number): HostNumbers {
  const filled = Array.from({ length: count * width }, (_, i) => (i < data.length ? data[i] : 0));
  return { shape: [count, width], data: filled };
}

/** Targets, losses, gradients and center of a `ssl/loss-ibot` fixture over its calls. */
export function ibotLossCases(fixture: FixtureCase): GoldenSequence[] {
  const { K, crops, temps, ...hyper } = fixture.json['hyper'];
  const sinkhorn = hyper.centering === 'sinkhorn_knopp';
  return [
    {
      name: 'targets, losses, gradients and center over the calls',
      state: { center: zeros([1, 1, K]) },
      calls: (temps as number[]).map((temperature, call) => {
        const { weights, centerWeights } = maskedRows(fixture, call);
        const [capacity] = weights.shape;
        return {
          student: rows(fixture.tensor(`call${call}/student`), capacity),
          teacher: rows(fixture.tensor(`call${call}/teacher`), capacity),
          weights,
          centerWeights,
          temperature: scalarNumber(temperature),
        };
      }),
      step: ({ center }, { student, teacher, weights, centerWeights, temperature }) => {
        const targets = sinkhorn
          ? sinkhornTargets(teacher, temperature, { iterations: hyper.sk_iters, rows: weights })
          : softmaxTargets(teacher, center, temperature);
        const { outputs, gradients } = gradientsOf({ student }, () => ({
          value: ibotLoss({ student, targets, weights, crops, studentTemperature: hyper.student_temp }),
        }));
        return {
          state: { center: updateCenter(center, teacher, hyper.center_momentum, centerWeights) },
          outputs: { targets, loss: outputs.value, grad: gradients['student'] },
        };
      },
      check: ({ state, outputs }, call) => {
        const maxRel = fixture.tolerance(`call${call}`);
        const target = fixture.tensor(`call${call}/target`);
        expect(rows(outputs['targets'], target.shape[0])).toBeAllclose(target, { maxRel });
        const near = { rtol: fixture.tolerance('scalar'), atol: 0 };
        expect(outputs['loss'].data[0]).toBeAllclose(fixture.scalar(`call${call}/loss`), near);
        expect(outputs['loss'].data[0]).toBeAllclose(fixture.scalar(`call${call}/loss_no_weight`), near);
        const gradient = rows(fixture.tensor(`call${call}/grad_student`), outputs['grad'].shape[0]);
        expect(outputs['grad']).toBeAllclose(gradient, { maxRel });
        if (!sinkhorn) expectCenter(fixture, call, temps.length, state['center']);
      },
    },
  ];
}
