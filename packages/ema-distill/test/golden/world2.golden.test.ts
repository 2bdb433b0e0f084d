import { fixtureCases } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { dinoLoss, sinkhornTargets, softmaxTargets, updateCenter } from '../../src/index.js';
import { type HostNumbers, joined, tidied, toHost, toTensor } from '../tensors.js';

/** Rank-first rows `[N][crops * B, K]` as joint `[crops, N * B, K]`. */
function byCrop(ranks: readonly HostNumbers[], crops: number): HostNumbers {
  const [rows, K] = ranks[0].shape;
  const perCrop = (rows / crops) * K;
  const parts = Array.from({ length: crops }, (_, crop) =>
    ranks.map(({ data }) => ({ shape: [], data: Array.from(data).slice(crop * perCrop, (crop + 1) * perCrop) })),
  );
  return joined(parts.flat(), [crops, (ranks.length * rows) / crops, K]);
}

/** All processes on one device: joint rows, one loss. */
describe.each(fixtureCases('ssl/loss-world2', (json) => 'center_momentum' in json['hyper']))('$name', (fixture) => {
  const { K, C, world_size: N, masked_per_rank: masked, ...hyper } = fixture.json['hyper'];
  const temperature = hyper.teacher_temp;
  const ranks = Array.from({ length: N }, (_, rank) => rank);
  const calls = Object.keys(fixture.tensors())
    .filter((name) => /^in\/dino\/r0\/student\d+$/.test(name))
    .map((_, call) => call);
  const all = (name: (rank: number) => string): HostNumbers[] => ranks.map((rank) => fixture.tensor(name(rank)));

  it('DINO: loss, gradient and center are those of the processes together', () => {
    expect(calls.length).toBeGreaterThan(0);
    tidied(() => {
      let center: tf.Tensor = tf.zeros([1, K]);
      for (const call of calls) {
        const student = toTensor(
          byCrop(
            all((r) => `in/dino/r${r}/student${call}`),
            C,
          ),
        );
        const teacher = toTensor(
          byCrop(
            all((r) => `in/dino/r${r}/teacher${call}`),
            2,
          ),
        );
        const input = { teacher, center, teacherTemperature: temperature, studentTemperature: hyper.student_temp };
        const lossOf = (logits: tf.Tensor): ReturnType<typeof dinoLoss> =>
          dinoLoss({ ...input, student: logits, centerMomentum: hyper.center_momentum });
        const { value, grad } = tf.valueAndGrad((logits: tf.Tensor) => lossOf(logits).loss)(student);
        center = lossOf(student).center;

        const losses = ranks.map((rank) => fixture.scalar(`call${call}/r${rank}/loss`));
        const mean = losses.reduce((a, b) => a + b) / N;
        expect(value.dataSync()[0]).toBeAllclose(mean, { rtol: fixture.tolerance('scalar'), atol: 0 });
        const maxRel = fixture.tolerance(`call${call}`);
        // Each process has the gradient of its own loss, N times its share of the mean.
        const expected = byCrop(
          all((r) => `call${call}/r${r}/grad`),
          C,
        );
        expect(toHost(tf.mul(grad, N))).toBeAllclose(expected, { maxRel });
        for (const rank of ranks) {
          expect(toHost(center)).toBeAllclose(fixture.tensor(`call${call}/r${rank}/center`), { maxRel });
        }
      }
    });
  });

  it('DINOv2: targets of both kinds and the center', () => {
    tidied(() => {
      let center: tf.Tensor = tf.zeros([1, K]);
      for (const call of calls) {
        const maxRel = fixture.tolerance(`call${call}`);
        const rows = joined(
          all((r) => `in/dino/r${r}/teacher${call}`),
          [2 * N * hyper.B_per_rank, K],
        );
        const logits = toTensor(rows);
        const target = joined(
          all((r) => `call${call}/r${r}/v2_target`),
          rows.shape,
        );
        expect(toHost(softmaxTargets(logits, center, temperature))).toBeAllclose(target, { maxRel });
        const sinkhorn = joined(
          all((r) => `call${call}/r${r}/v2_sk`),
          rows.shape,
        );
        const iterations = hyper.sk_iters;
        expect(toHost(sinkhornTargets(logits, temperature, { iterations }))).toBeAllclose(sinkhorn, { maxRel });
        center = updateCenter(center, logits, hyper.center_momentum);
      }
      const maxRel = fixture.tolerance('final');
      expect(toHost(center)).toBeAllclose(fixture.tensor('final/v2_center'), { maxRel });
    });
  });

  it('iBOT: targets of both kinds and the center, a mean of the processes means', () => {
    tidied(() => {
      const total = masked.reduce((a: number, b: number) => a + b);
      const weights = tf.tensor1d(masked.flatMap((count: number) => Array<number>(count).fill(1 / (count * N))));
      let center: tf.Tensor = tf.zeros([1, 1, K]);
      for (const call of calls) {
        const maxRel = fixture.tolerance(`call${call}`);
        const rows = joined(
          all((r) => `in/ibot/r${r}/teacher${call}`),
          [total, K],
        );
        const logits = toTensor(rows);
        const target = joined(
          all((r) => `call${call}/r${r}/ibot_target`),
          rows.shape,
        );
        expect(toHost(softmaxTargets(logits, center, temperature))).toBeAllclose(target, { maxRel });
        const sinkhorn = joined(
          all((r) => `call${call}/r${r}/ibot_sk`),
          rows.shape,
        );
        const iterations = hyper.sk_iters;
        expect(toHost(sinkhornTargets(logits, temperature, { iterations }))).toBeAllclose(sinkhorn, { maxRel });
        center = updateCenter(center, logits, hyper.center_momentum, weights);
      }
      const maxRel = fixture.tolerance('final');
      expect(toHost(center)).toBeAllclose(fixture.tensor('final/ibot_center'), { maxRel });
    });
  });
});
