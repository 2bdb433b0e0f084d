import {
  compileFunction,
  compileStep,
  type Engine,
  type NamedTensors,
  type StateStore,
  type Step,
} from '@selfsup/compile';
import { sizeOf, type HostArrays, type Specs } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { allOrNothing } from '../training/disposables.js';
import { placeImages, takeImages } from '../training/image-rows.js';
import { prefixed, under } from '../training/networks.js';
import { pick, type PartArrays } from '../training/partwise.js';
import type { Objective } from '../training/method.js';
import { networkStateUnder } from '../training/update.js';
import { JOINT_ARRAYS, type JointTerm } from './joint-term.js';
import type { TeacherOutputs } from './method.js';
import { outputWidth } from './networks.js';
import type { Part } from './parts.js';
import {
  perView,
  studentClsOutputs,
  teacherOutputs,
  teacherPrefix,
  termNorms,
  type MaskedDistillation,
} from './step.js';

/** Prefix of the teacher's outputs, found together with what the term looks at. */
const TEACHER = 'teacherOutputs.';

/** A term over all images, found before the parts of a step run: no part sees more than its own. */
export interface JointTermStage {
  /** What the arrays of a part have in addition. */
  readonly batch: Specs;
  /** The teacher's outputs of a part, where this stage has them. */
  teacher?(batch: NamedTensors): TeacherOutputs;
  prepare(parts: readonly Part[]): Promise<PartArrays>;
  dispose(): Promise<void>;
}

/** What the student's CLS tokens of the global views come from. */
const isOfTokens = (name: string): boolean =>
  name === 'crops.global' || name === 'masks' || /^subset(Scale)?\.global\./.test(name);

/**
 * Programs for a term over all images of a step in parts. The student (and the teacher, if the term compares the two) runs
 * on every part, nothing kept but the outputs in question; the term and its gradient for them follow; the parts then
 * carry their share of that gradient back, with the same masks and stochastic depth.
 *
 * @param views - what a part takes, see `maskedViewSpecs`
 */
export function jointTermStage(
  engine: Engine,
  store: StateStore,
  options: MaskedDistillation,
  term: JointTerm,
  views: Specs,
): Promise<JointTermStage> {
  const { config, networks } = options;
  const { accumulate, batchSize } = config;
  const images = batchSize / accumulate;
  const compared = term.of === 'cls';
  const [crops, width] = compared
    ? [2 + config.crops.local.count, outputWidth(networks.clsHead)]
    : [2, networks.backbone.config.width];
  const f32 = (...shape: number[]): Specs[string] => ({ shape, dtype: 'f32' });
  const seen: Specs = compared ? views : Object.fromEntries(Object.entries(views).filter(([name]) => isOfTokens(name)));
  // Rows are crop-major. Two dimensions, so that any number of devices takes them.
  const ofAll: Specs = {
    student: f32(crops * batchSize, width),
    ...(compared ? { teacher: f32(2 * batchSize, width) } : {}),
  };
  const teacherSpecs: Specs = compared
    ? prefixed(TEACHER, {
        cls: f32(2 * images, width),
        patches: f32(views['patches.weights'].shape[0], outputWidth(networks.patchHead)),
      })
    : {};
  const values: Specs = {
    [JOINT_ARRAYS.loss]: f32(),
    ...prefixed(JOINT_ARRAYS.part, Object.fromEntries(term.parts.map((part) => [part, f32()]))),
  };
  const logged: Specs = term.weighed ? { termGradientNorms: f32(term.parts.length) } : {};
  const state = networkStateUnder(
    compared ? ['student.', teacherPrefix(options)] : ['student.backbone.'],
    config,
    networks,
  );

  /** What the term looks at, of one part. */
  const outputs: Step = (all, batch) => {
    const student = asRows(studentClsOutputs(options, term.of, under('student.', all), batch));
    if (!compared) return { state: {}, metrics: { student } };
    const { cls, patches } = teacherOutputs(options, all, batch);
    return { state: {}, metrics: { student, ...prefixed(TEACHER, { cls: asRows(cls), patches }) } };
  };
  /** The term, its gradient and the numbers for the log. */
  const whole = ({ student, teacher }: NamedTensors): NamedTensors => {
    const targets = compared ? perView(teacher as tf.Tensor2D, batchSize) : undefined;
    const objective = (rows: tf.Tensor): Objective => term.objective(perView(rows as tf.Tensor2D, batchSize), targets);
    let parts: NamedTensors = {};
    const { value, grad } = tf.valueAndGrad((rows) => {
      const found = objective(rows);
      parts = Object.fromEntries(Object.entries(found.parts).map(([name, part]) => [name, tf.keep(part)]));
      return found.loss;
    })(student);
    const metrics = {
      // A part may be the very tensor of the loss.
      [JOINT_ARRAYS.loss]: tf.clone(value),
      [JOINT_ARRAYS.gradient]: tf.mul(grad, accumulate),
      ...prefixed(JOINT_ARRAYS.part, Object.fromEntries(Object.entries(parts).map(([k, part]) => [k, tf.clone(part)]))),
      ...termNorms(term, student, (rows) => objective(rows).parts),
    };
    tf.dispose(parts);
    return metrics;
  };

  return allOrNothing(async (owned) => {
    const name = (what: string): string => `${config.recipe}.${what}`;
    const look = await owned.add(compileStep(outputs, { engine, store, name: name('outputs'), state, batch: seen }));
    const joint = await owned.add(compileFunction(whole, { engine, name: name('joint'), inputs: ofAll }));
    return {
      batch: { ...teacherSpecs, ...values, [JOINT_ARRAYS.gradient]: f32(crops * images, width) },
      ...(compared ? { teacher: (batch) => givenTeacher(under(TEACHER, batch), images) } : {}),
      async prepare(parts) {
        const all = Object.fromEntries(
          Object.entries(ofAll).map(([key, { shape }]) => [key, new Float32Array(sizeOf(shape))]),
        );
        const teachers: HostArrays[] = [];
        for (const part of parts) {
          const found = await look.run(pick(seen, part.arrays));
          placeImages(all['student'], found['student'] as Float32Array, crops, batchSize, part.images);
          if (compared) placeImages(all['teacher'], found[`${TEACHER}cls`] as Float32Array, 2, batchSize, part.images);
          teachers.push(pick(teacherSpecs, found));
        }
        const found = await joint(all);
        const gradient = found[JOINT_ARRAYS.gradient];
        return {
          images: parts.map((part) => part.images),
          parts: parts.map((part, k) => ({
            ...part.arrays,
            ...teachers[k],
            ...pick(values, found),
            [JOINT_ARRAYS.gradient]: takeImages(gradient, crops, batchSize, part.images),
          })),
          metrics: pick(logged, found),
        };
      },
      dispose: () => owned.dispose(),
    };
  });
}

/** `[C, n, K]` as `[C n, K]`. */
const asRows = (views: tf.Tensor3D): tf.Tensor2D =>
  tf.reshape(views, [views.shape[0] * views.shape[1], views.shape[2]]);

function givenTeacher({ cls, patches }: NamedTensors, images: number): TeacherOutputs {
  return { cls: perView(cls as tf.Tensor2D, images), patches: patches as tf.Tensor2D };
}
