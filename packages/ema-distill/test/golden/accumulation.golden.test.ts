import { type FixtureCase, fixtureCases } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import {
  dinoLoss,
  dinov2ClsLoss,
  ibotLoss,
  koleoLoss,
  maskedPatches,
  projectionHead,
  sinkhornTargets,
  softmaxTargets,
  updateCenter,
} from '../../src/index.js';
import { below, type HostNumbers } from '@selfsup/test-kit/golden-case';
import { tidied, toHost, toTensor, toTensors } from '../tensors.js';

/** The head's outputs for CLS tokens `[C, n, D]`, by the student's parameters below a prefix of the fixture. */
function clsHead(fixture: FixtureCase, prefix: string): (cls: tf.Tensor) => tf.Tensor {
  const params = toTensors(below(fixture, prefix));
  const directions = params['last_layer.weight_v'];
  const layers = Object.keys(params).filter((name) => /^mlp(\.\d+)?\.weight$/.test(name)).length;
  return (cls) => {
    const [C, n, inputWidth] = cls.shape;
    const [prototypes, outputWidth] = directions.shape;
    const hiddenWidth = layers === 1 ? 1 : params['mlp.0.weight'].shape[0];
    const head = projectionHead({ inputWidth, hiddenWidth, outputWidth, layers, prototypes });
    return tf.reshape(head.apply(params, tf.reshape(cls, [C * n, inputWidth])), [C, n, prototypes]);
  };
}

function expectTensor(fixture: FixtureCase, name: string, found: HostNumbers): void {
  expect(found, name).toBeAllclose(fixture.tensor(name), { maxRel: fixture.tolerance(name) });
}

describe.each(fixtureCases('ssl/accumulation-dino', (json) => json['hyper'].method === 'dino'))('$name', (fixture) => {
  const { student_temp, center_momentum: centerMomentum, teacher_temp } = fixture.json['hyper'];

  it('gives loss, gradients and center of all groups together', () => {
    tidied(() => {
      const input = {
        teacher: toTensor(fixture.tensor('teacher_out')),
        center: toTensor(fixture.tensor('center')),
        teacherTemperature: teacher_temp,
        studentTemperature: student_temp,
        centerMomentum,
      };
      const lossOf = (student: tf.Tensor): tf.Tensor => dinoLoss({ ...input, student }).loss;
      const student = toTensor(fixture.tensor('student_out'));
      const { value, grad } = tf.valueAndGrad(lossOf)(student);
      const rtol = fixture.tolerance('scalar');
      expect(value.dataSync()[0]).toBeAllclose(fixture.scalar('loss'), { rtol, atol: 0 });
      expectTensor(fixture, 'd_student_out', toHost(grad));
      expectTensor(fixture, 'center_after', toHost(dinoLoss({ ...input, student }).center));

      const head = clsHead(fixture, 'student/head.');
      const throughHead = tf.grad((cls: tf.Tensor) => lossOf(head(cls)))(toTensor(fixture.tensor('student_cls')));
      expectTensor(fixture, 'd_student_cls', toHost(throughHead));
    });
  });
});

describe.each(fixtureCases('ssl/accumulation-dinov2'))('$name', (fixture) => {
  const { cfg, groups, n: images, N_patches: patches, teacher_temp: temperature } = fixture.json['hyper'];
  const sinkhorn = cfg.train.centering === 'sinkhorn_knopp';

  /** Rows of the fixture, which go group by group, in our order of places. */
  function patchRows(name: string): HostNumbers {
    const { data: crop } = fixture.tensor('patch_crop');
    const { data: image } = fixture.tensor('patch_image');
    const { data: patch } = fixture.tensor('patch_index');
    const place = (row: number): number => (crop[row] * images + image[row]) * patches + patch[row];
    const order = Array.from(crop, (_, row) => row).sort((a, b) => place(a) - place(b));
    const { shape, data } = fixture.tensor(name);
    const [rows, K] = shape;
    expect(rows).toBe(order.length);
    return { shape, data: order.flatMap((row) => Array.from(data.slice(row * K, (row + 1) * K))) };
  }

  const centerMomentum = 0.9; // the authors' default, which has no option

  it('gives losses, gradients and centers of all groups together', () => {
    tidied(() => {
      const teacher = toTensor(fixture.tensor('teacher_out'));
      const student = toTensor(fixture.tensor('student_out'));
      const cls = toTensor(fixture.tensor('student_cls'));
      const [, , width] = cls.shape;
      let targets: tf.Tensor;
      if (sinkhorn) {
        targets = sinkhornTargets(teacher, temperature);
      } else {
        const center = toTensor(fixture.tensor('dino_center'));
        targets = softmaxTargets(teacher, center, temperature);
        expectTensor(fixture, 'dino_center_after', toHost(updateCenter(center, teacher, centerMomentum)));
      }
      const weighted = (logits: tf.Tensor): tf.Tensor =>
        tf.mul(dinov2ClsLoss({ student: logits, targets }).loss, cfg.dino.loss_weight);
      const koleo = (tokens: tf.Tensor): tf.Tensor => {
        const crops = [0, 1].map((crop) => {
          const rows = tf.reshape(tf.slice(tokens, [crop, 0, 0], [1, images, width]), [images, width]);
          return koleoLoss(rows, { groups });
        });
        return tf.mul(tf.add(crops[0], crops[1]), cfg.dino.koleo_loss_weight);
      };
      expectTensor(fixture, 'd_student_out', toHost(tf.grad(weighted)(student)));
      const head = clsHead(fixture, 'student/dino_head.');
      const throughHead = tf.grad((tokens: tf.Tensor) => tf.add(weighted(head(tokens)), koleo(tokens)))(cls);
      expectTensor(fixture, 'd_student_cls', toHost(throughHead));

      const masks = fixture.tensor('masks').data;
      const teacherRows = patchRows('teacher_patch_out');
      const capacity = teacherRows.shape[0];
      const rows = maskedPatches({ masks, images, patches, groups, capacity });
      const weights = toTensor(rows.weights);
      const patchLogits = toTensor(teacherRows);
      let patchTargets: tf.Tensor;
      if (sinkhorn) {
        patchTargets = sinkhornTargets(patchLogits, temperature, { rows: weights });
      } else {
        const center = toTensor(fixture.tensor('ibot_center'));
        patchTargets = softmaxTargets(patchLogits, center, temperature);
        const next = updateCenter(center, patchLogits, centerMomentum, toTensor(rows.centerWeights));
        expectTensor(fixture, 'ibot_center_after', toHost(next));
      }
      const patchLossOf = (logits: tf.Tensor): tf.Tensor => {
        const loss = ibotLoss({ student: logits, targets: patchTargets, weights, crops: 2 * images });
        return tf.mul(loss, cfg.ibot.loss_weight);
      };
      const patch = tf.valueAndGrad(patchLossOf)(toTensor(patchRows('student_patch_out')));
      expect(toHost(patch.grad)).toBeAllclose(patchRows('d_student_patch_out'), {
        maxRel: fixture.tolerance('d_student_patch_out'),
      });

      const total = [weighted(student), koleo(cls), patch.value].reduce((sum, x) => sum + x.dataSync()[0], 0);
      expect(total).toBeAllclose(fixture.scalar('loss'), { rtol: fixture.tolerance('scalar'), atol: 0 });
    });
  });
});
