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
import { placeImages, takeImages } from '../training/image-rows.js';
import { prefixed, under } from '../training/networks.js';
import { pick, type PartArrays } from '../training/partwise.js';
import type { Objective } from '../training/method.js';
import { networkStateSpecs } from '../training/update.js';
import { JOINT_ARRAYS, type JointTerm } from './joint-term.js';
import type { TeacherOutputs } from './method.js';
import { outputWidth } from './networks.js';
import type { Part } from './parts.js';
import { studentClsOutputs, teacherOutputs, teacherPrefix, termNorms, type MaskedDistillation } from './step.js';

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

/**
 * Programs for a term over all images of a step in parts. The student (and the teacher, if the term compares the two) runs
 * on every part, nothing kept but the outputs in question; the term and its gradient for them follow; the parts then
 * carry their share of that gradient back, with the same masks and stochastic depth.
 *
 * @param views - what a part takes, see `maskedViewSpecs`
 */
export async function jointTermStage(
  engine: Engine,
  store: StateStore,
  options: MaskedDistillation,
  term: JointTerm,
  views: Specs,
): Promise<JointTermStage> {
  const { config, networks, method } = options;
  const { accumulate, batchSize } = config;
  const images = batchSize / accumulate;
  const compared = term.of === 'cls';
  const [crops, width] = compared
    ? [2 + config.crops.local.count, outputWidth(networks.clsHead)]
    : [2, networks.backbone.config.width];
  const f32 = (...shape: number[]): Specs[string] => ({ shape, dtype: 'f32' });
  const ofAll: Specs = {
    student: f32(crops, batchSize, width),
    ...(compared ? { teacher: f32(2, batchSize, width) } : {}),
  };
  const teacherSpecs: Specs = compared
    ? prefixed(TEACHER, {
        cls: f32(2, images, width),
        patches: f32(views['patches.weights'].shape[0], outputWidth(networks.patchHead)),
      })
    : {};
  const values: Specs = {
    [JOINT_ARRAYS.loss]: f32(),
    ...prefixed(JOINT_ARRAYS.part, Object.fromEntries(term.parts.map((part) => [part, f32()]))),
  };
  const logged: Specs = method.terms.length === 0 ? {} : { termGradientNorms: f32(method.terms.length) };
  const read = compared ? ['student.', teacherPrefix(options)] : ['student.backbone.'];
  const state = Object.fromEntries(
    Object.entries(networkStateSpecs(config, networks)).filter(([name]) =>
      read.some((prefix) => name.startsWith(prefix)),
    ),
  );

  /** What the term looks at, of one part. */
  const outputs: Step = (all, batch) => {
    const student = studentClsOutputs(options, term.of, under('student.', all), batch);
    const teacher: NamedTensors = compared ? prefixed(TEACHER, teacherOutputs(options, all, batch)) : {};
    return { state: {}, metrics: { student, ...teacher } };
  };
  /** The term, its gradient and the numbers for the log. */
  const whole = ({ student, teacher }: NamedTensors): NamedTensors => {
    const objective = (outputs: tf.Tensor): Objective =>
      term.objective(outputs as tf.Tensor3D, teacher as tf.Tensor3D | undefined);
    const { loss, parts } = objective(student);
    const gradient = tf.grad((outputs) => objective(outputs).loss)(student);
    return {
      [JOINT_ARRAYS.loss]: loss,
      [JOINT_ARRAYS.gradient]: tf.mul(gradient, accumulate),
      ...prefixed(JOINT_ARRAYS.part, parts),
      ...termNorms(method.terms, student, (outputs) => objective(outputs).parts),
    };
  };

  const name = (what: string): string => `${config.recipe}.${what}`;
  const programs = {
    outputs: await compileStep(outputs, { engine, store, name: name('outputs'), state, batch: views }),
    whole: await compileFunction(whole, { engine, name: name('joint'), inputs: ofAll }),
  };
  return {
    batch: { ...teacherSpecs, ...values, [JOINT_ARRAYS.gradient]: f32(crops, images, width) },
    ...(compared ? { teacher: (batch) => under(TEACHER, batch) as TeacherOutputs } : {}),
    async prepare(parts) {
      const all = Object.fromEntries(
        Object.entries(ofAll).map(([key, { shape }]) => [key, new Float32Array(sizeOf(shape))]),
      );
      const teachers: HostArrays[] = [];
      for (const part of parts) {
        const seen = await programs.outputs.run(pick(views, part.arrays));
        placeImages(all['student'], seen['student'] as Float32Array, crops, batchSize, part.images);
        if (compared) placeImages(all['teacher'], seen[`${TEACHER}cls`] as Float32Array, 2, batchSize, part.images);
        teachers.push(pick(teacherSpecs, seen));
      }
      const found = await programs.whole(all);
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
    async dispose() {
      await programs.outputs.dispose();
      await programs.whole.dispose();
    },
  };
}
