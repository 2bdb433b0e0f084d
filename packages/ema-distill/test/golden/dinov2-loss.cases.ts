import type { FixtureCase } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import {
  type GoldenSequence,
  gradientsOf,
  type HostNumbers,
  reshaped,
  scalarNumber,
} from '@selfsup/test-kit/golden-case';
import { dinov2ClsLoss, sinkhornTargets, softmaxTargets, updateCenter } from '../../src/index.js';
import { expectCenter, joined, zeros } from '../tensors.js';

/** Targets, losses, gradients and center of a `ssl/loss-dinov2-cls` fixture over its calls. */
export function dinov2LossCases(fixture: FixtureCase): GoldenSequence[] {
  const { K, B, V, temps, ...hyper } = fixture.json['hyper'];
  const sinkhorn = hyper.centering === 'sinkhorn_knopp';
  /** Rows of all crops, which the fixture keeps in two tensors. */
  const crops = (call: number, what: string): HostNumbers =>
    joined(
      ['global', ...(V > 0 ? ['local'] : [])].map((kind) => fixture.tensor(`call${call}/${what}_${kind}`)),
      [2 + V, B, K],
    );
  return [
    {
      name: 'targets, losses, gradients and center over the calls',
      state: { center: zeros([1, K]) },
      calls: (temps as number[]).map((temperature, call) => ({
        student: crops(call, 'student'),
        teacher: reshaped(fixture.tensor(`call${call}/teacher`), [2, B, K]),
        temperature: scalarNumber(temperature),
      })),
      step: ({ center }, { student, teacher, temperature }) => {
        const targets = sinkhorn
          ? sinkhornTargets(teacher, temperature, { iterations: hyper.sk_iters })
          : softmaxTargets(teacher, center, temperature);
        const { outputs, gradients } = gradientsOf({ student }, () => {
          const { local, global, loss } = dinov2ClsLoss({ student, targets, studentTemperature: hyper.student_temp });
          return { value: loss, local, global };
        });
        return {
          state: { center: updateCenter(center, teacher, hyper.center_momentum) },
          // The authors keep the teacher's crops swapped.
          outputs: { target: tf.reverse(targets, 0), ...outputs, grad: gradients['student'] },
        };
      },
      check: ({ state, outputs }, call) => {
        const maxRel = fixture.tolerance(`call${call}`);
        expect(outputs['target']).toBeAllclose(fixture.tensor(`call${call}/target`), { maxRel });
        const near = { rtol: fixture.tolerance('scalar'), atol: 0 };
        const global = fixture.scalar(`call${call}/global`);
        const local = V > 0 ? fixture.scalar(`call${call}/local`) : 0;
        expect(outputs['global'].data[0]).toBeAllclose(global, near);
        expect(outputs['local'].data[0]).toBeAllclose(local, near);
        expect(outputs['value'].data[0]).toBeAllclose(global + local, near);
        expect(outputs['grad']).toBeAllclose(crops(call, 'grad'), { maxRel });
        if (!sinkhorn) expectCenter(fixture, call, temps.length, state['center']);
      },
    },
  ];
}
