import type { NamedTensors } from '@selfsup/compile';
import {
  dinov2ClsLoss,
  ibotLoss,
  koleoLoss,
  meanEntropy,
  sinkhornTargets,
  softmaxTargets,
  updateCenter,
} from '@selfsup/ema-distill';
import * as tf from '@tensorflow/tfjs-core';
import type { DinoV2Config } from '../config/types.js';
import { jointObjective, type JointTerm } from '../second-generation/joint-term.js';
import { givenFactors, type MaskedMethod, type MaskedViews } from '../second-generation/method.js';

const CLS_CENTER = 'center.cls';
const PATCH_CENTER = 'center.patch';

/**
 * DINOv2's loss: DINO's cross entropy for CLS tokens, iBOT's for masked patches, KoLeo for the CLS tokens of each global
 * view in groups. Centres are running means: of all images' teacher outputs, and of the groups' means over their masked
 * patches. They are updated at the end of a step, which gives the authors' numbers, who do it when they next need them.
 */
export function dinov2Method({
  loss,
  head,
  patchHead,
  groups,
}: Pick<DinoV2Config, 'loss' | 'head' | 'patchHead' | 'groups'>): MaskedMethod {
  const { clsWeight, patchWeight, koleoWeight, studentTemperature } = loss;
  const centred = loss.targets === 'centering';
  const targetsOf = (
    { teacher: { cls, patches }, weights }: MaskedViews,
    state: NamedTensors,
    batch: NamedTensors,
  ): { cls: tf.Tensor; patches: tf.Tensor } =>
    centred
      ? {
          cls: softmaxTargets(cls, state[CLS_CENTER], batch['teacherTemperature']),
          patches: softmaxTargets(patches, state[PATCH_CENTER], batch['teacherTemperature']),
        }
      : {
          cls: sinkhornTargets(cls, batch['teacherTemperature'], givenFactors('cls', batch)),
          patches: sinkhornTargets(patches, batch['teacherTemperature'], {
            rows: weights,
            ...givenFactors('patches', batch),
          }),
        };
  /** KoLeo, summed over the two global views. */
  const koleo: JointTerm = {
    of: 'tokens',
    span: 'groups',
    weighed: false,
    parts: ['koleo'],
    objective(tokens) {
      const [views, images, width] = tokens.shape;
      const perView = Array.from({ length: views }, (_, g) =>
        koleoLoss(tf.reshape(tf.slice(tokens, [g, 0, 0], [1, images, width]), [images, width]), { groups }),
      );
      const sum = tf.addN(perView) as tf.Scalar;
      return { loss: sum, parts: { koleo: sum } };
    },
  };
  const joint = koleoWeight === 0 ? undefined : koleo;
  return {
    state: centred
      ? {
          [CLS_CENTER]: { shape: [1, head.prototypes], dtype: 'f32' },
          [PATCH_CENTER]: { shape: [1, 1, (patchHead ?? head).prototypes], dtype: 'f32' },
        }
      : {},
    batch: { teacherTemperature: { shape: [], dtype: 'f32' } },
    scalars: (step, { teacherTemperature }) => ({ teacherTemperature: Float32Array.of(teacherTemperature(step)) }),
    joint,
    jointTargets: !centred,
    diagnosed: 'tokens',
    objective: (views, state, batch) => {
      const { student, weights } = views;
      const targets = targetsOf(views, state, batch);
      const image = dinov2ClsLoss({ student: student.cls, targets: targets.cls, studentTemperature });
      const patch = ibotLoss({
        student: student.patches,
        targets: targets.patches,
        weights,
        crops: 2 * student.cls.shape[1],
        studentTemperature,
      });
      const spreading = joint && jointObjective(joint, views, batch);
      const terms = [
        tf.mul(image.loss, clsWeight),
        tf.mul(patch, patchWeight),
        ...(spreading === undefined ? [] : [tf.mul(spreading.loss, koleoWeight)]),
      ];
      return {
        loss: tf.addN(terms) as tf.Scalar,
        parts: {
          clsLocal: image.local,
          clsGlobal: image.global,
          patch,
          ...spreading?.parts,
          teacherEntropy: meanEntropy(targets.cls),
        },
      };
    },
    ...(centred
      ? {
          nextState: ({ cls, patches, masked }, state) => ({
            [CLS_CENTER]: updateCenter(state[CLS_CENTER], cls, loss.centerMomentum),
            // A batch without any mask leaves the centre as it is.
            [PATCH_CENTER]: updateCenter(
              state[PATCH_CENTER],
              patches,
              loss.centerMomentum,
              tf.cast(tf.greater(masked, 0), 'float32'),
            ),
          }),
        }
      : {}),
  };
}
