import type { FixtureCase } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import { type GoldenSequence, gradientsOf, type HostNumbers } from '@selfsup/test-kit/golden-case';
import { dinoLoss, sinkhornTargets, softmaxTargets, updateCenter } from '../../src/index.js';
import { joined, zeros } from '../tensors.js';

/** Rank-first rows `[N][crops * B, K]` as joint `[crops, N * B, K]`. */
function byCrop(ranks: readonly HostNumbers[], crops: number): HostNumbers {
  const [rows, K] = ranks[0].shape;
  const perCrop = (rows / crops) * K;
  const parts = Array.from({ length: crops }, (_, crop) =>
    ranks.map(({ data }) => ({ shape: [], data: Array.from(data).slice(crop * perCrop, (crop + 1) * perCrop) })),
  );
  return joined(parts.flat(), [crops, (ranks.length * rows) / crops, K]);
}

/** Losses and targets of the DINO family in a `ssl/loss-world2` fixture: all processes on one device, as joint rows. */
export function dinoWorldCases(fixture: FixtureCase): GoldenSequence[] {
  const { K, C, world_size: N, masked_per_rank, B_per_rank, ...hyper } = fixture.json['hyper'];
  const temperature = hyper.teacher_temp;
  const iterations = hyper.sk_iters;
  const masked = masked_per_rank as number[];
  const ranks = Array.from({ length: N }, (_, rank) => rank);
  const calls = Object.keys(fixture.tensors())
    .filter((name) => /^in\/dino\/r0\/student\d+$/.test(name))
    .map((_, call) => call);
  expect(calls.length).toBeGreaterThan(0);
  const all = (name: (rank: number) => string): HostNumbers[] => ranks.map((rank) => fixture.tensor(name(rank)));
  const near = (call: number): { maxRel: number } => ({ maxRel: fixture.tolerance(`call${call}`) });

  /** Targets of both kinds from the teacher's rows, and a center that is read after the last call. */
  const targets = (
    name: string,
    centerShape: readonly number[],
    rowsOf: (call: number) => HostNumbers,
    weights: HostNumbers | undefined,
    stored: { target: string; sinkhorn: string; center: string },
  ): GoldenSequence => ({
    name,
    state: { center: zeros(centerShape) },
    calls: calls.map((call) => ({ logits: rowsOf(call), ...(weights && { weights }) })),
    step: ({ center }, { logits, weights }) => ({
      state: { center: updateCenter(center, logits, hyper.center_momentum, weights) },
      outputs: {
        target: softmaxTargets(logits, center, temperature),
        sinkhorn: sinkhornTargets(logits, temperature, { iterations }),
      },
    }),
    check: ({ state, outputs }, call) => {
      for (const what of ['target', 'sinkhorn'] as const) {
        const expected = joined(
          all((r) => `call${call}/r${r}/${stored[what]}`),
          outputs[what].shape,
        );
        expect(outputs[what], `${what} in call ${call}`).toBeAllclose(expected, near(call));
      }
      if (call < calls.length - 1) return;
      const maxRel = fixture.tolerance('final');
      expect(state['center']).toBeAllclose(fixture.tensor(`final/${stored.center}`), { maxRel });
    },
  });

  return [
    {
      name: 'DINO: loss, gradient and center are those of the processes together',
      state: { center: zeros([1, K]) },
      calls: calls.map((call) => ({
        student: byCrop(
          all((r) => `in/dino/r${r}/student${call}`),
          C,
        ),
        teacher: byCrop(
          all((r) => `in/dino/r${r}/teacher${call}`),
          2,
        ),
      })),
      step: ({ center }, { student, teacher }) => {
        const { outputs, gradients } = gradientsOf({ student }, () => {
          const { loss, center: next } = dinoLoss({
            student,
            teacher,
            center,
            teacherTemperature: temperature,
            studentTemperature: hyper.student_temp,
            centerMomentum: hyper.center_momentum,
          });
          return { value: loss, next };
        });
        // Each process has the gradient of its own loss, N times its share of the mean.
        const grad = tf.mul(gradients['student'], N);
        return { state: { center: outputs.next }, outputs: { loss: outputs.value, grad } };
      },
      check: ({ state, outputs }, call) => {
        const losses = ranks.map((rank) => fixture.scalar(`call${call}/r${rank}/loss`));
        const mean = losses.reduce((a, b) => a + b) / N;
        expect(outputs['loss'].data[0]).toBeAllclose(mean, { rtol: fixture.tolerance('scalar'), atol: 0 });
        const gradient = byCrop(
          all((r) => `call${call}/r${r}/grad`),
          C,
        );
        expect(outputs['grad']).toBeAllclose(gradient, near(call));
        for (const rank of ranks) {
          expect(state['center']).toBeAllclose(fixture.tensor(`call${call}/r${rank}/center`), near(call));
        }
      },
    },
    targets(
      'DINOv2: targets of both kinds and the center',
      [1, K],
      (call) =>
        joined(
          all((r) => `in/dino/r${r}/teacher${call}`),
          [2 * N * B_per_rank, K],
        ),
      undefined,
      { target: 'v2_target', sinkhorn: 'v2_sk', center: 'v2_center' },
    ),
    targets(
      'iBOT: targets of both kinds and the center, a mean of the processes means',
      [1, 1, K],
      (call) =>
        joined(
          all((r) => `in/ibot/r${r}/teacher${call}`),
          [masked.reduce((a, b) => a + b), K],
        ),
      joined(
        masked.map((count) => ({ shape: [count], data: Array<number>(count).fill(1 / (count * N)) })),
        [masked.reduce((a, b) => a + b)],
      ),
      { target: 'ibot_target', sinkhorn: 'ibot_sk', center: 'ibot_center' },
    ),
  ];
}
