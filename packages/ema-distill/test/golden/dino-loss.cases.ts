import type { FixtureCase } from '@selfsup/test-kit';
import { expect } from 'vitest';
import { type GoldenSequence, gradientsOf, reshaped, scalarNumber } from '@selfsup/test-kit/golden-case';
import { dinoLoss } from '../../src/index.js';
import { zeros } from '../tensors.js';

/** Loss, gradient and center of a `ssl/loss-dino-v1` fixture over its calls. */
export function dinoLossCases(fixture: FixtureCase): GoldenSequence[] {
  const { hyper, teacher_temp_schedule: temperatures } = fixture.json;
  const { batch, ncrops, out_dim: K } = hyper;
  const epochs = hyper.epochs_of_the_calls as number[];
  return [
    {
      name: 'loss, gradient and center over the calls',
      state: { center: zeros([1, K]) },
      calls: epochs.map((epoch, call) => ({
        student: reshaped(fixture.tensor(`call${call}/student`), [ncrops, batch, K]),
        teacher: reshaped(fixture.tensor(`call${call}/teacher`), [2, batch, K]),
        teacherTemperature: scalarNumber(temperatures[epoch]),
      })),
      step: ({ center }, { student, teacher, teacherTemperature }) => {
        const { outputs, gradients } = gradientsOf({ student }, () => {
          const { loss, center: next } = dinoLoss({
            student,
            teacher,
            center,
            teacherTemperature,
            studentTemperature: hyper.student_temp,
            centerMomentum: hyper.center_momentum,
          });
          return { value: loss, next };
        });
        return { state: { center: outputs.next }, outputs: { loss: outputs.value, grad: gradients['student'] } };
      },
      check: ({ state, outputs }, call) => {
        const maxRel = fixture.tolerance(`call${call}`);
        const loss = fixture.scalar(`call${call}/loss`);
        expect(outputs['loss'].data[0]).toBeAllclose(loss, { rtol: fixture.tolerance('scalar'), atol: 0 });
        expect(outputs['grad'].data).toBeAllclose(fixture.tensor(`call${call}/grad_student`).data, { maxRel });
        expect(state['center']).toBeAllclose(fixture.tensor(`call${call}/center`), { maxRel });
      },
    },
  ];
}
