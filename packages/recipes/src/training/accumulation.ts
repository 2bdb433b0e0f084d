import { compileStep, type CompiledStep, type Engine, type NamedTensors, type Step } from '@selfsup/compile';
import { sizeOf, type Specs } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { methodOf } from '../methods.js';
import { cropSets, cropSpecs, multiCropOutputs, sliceCrops } from './crops.js';
import {
  batchGradients,
  diagnostics,
  meanRow,
  stateSpecs,
  studentGradients,
  targetsFor,
  teacherOutputs,
  updateClipped,
  type DistillationOptions,
} from './distillation-step.js';
import { allOrNothing } from './disposables.js';
import { addToSums, gradientSumSpecs, takeSums, withFreshSums } from './gradient-sums.js';
import { consecutiveParts, placeImages, takeImages } from './image-rows.js';
import { partConfig } from './method.js';
import { under } from './networks.js';
import { CARRIED, partwiseProgram, pick, type PartwiseStep } from './partwise.js';
import type { TrainingProgram } from './program.js';
import { networkStateUnder, FINITE, updateBatchSpecs } from './update.js';

/** Mean of the teacher's rows over the whole batch, for what a method remembers. */
const TEACHER_MEAN = `${CARRIED}teacherMean`;

/** Width of the heads' outputs. */
const outputWidth = ({ networks }: DistillationOptions): number =>
  networks.head.config.prototypes ?? networks.head.config.outputWidth;

const LOSS: Specs = { loss: { shape: [], dtype: 'f32' } };

/** The end of a step whose gradients were added up. */
function updateOf(options: DistillationOptions): PartwiseStep['update'] {
  const { networks, method } = options;
  const remembered: Specs =
    method.nextState === undefined ? {} : { [TEACHER_MEAN]: { shape: [1, outputWidth(options)], dtype: 'f32' } };
  return {
    state: stateSpecs(options),
    batch: { ...updateBatchSpecs(networks), ...LOSS, ...remembered },
    apply(gradients, state, { loss, [TEACHER_MEAN]: teacherMean, ...batch }) {
      const { state: next, metrics } = updateClipped(options, gradients, loss, state, batch);
      return { state: { ...next, ...method.nextState?.(teacherMean as tf.Tensor2D, state) }, metrics };
    },
  };
}

/**
 * The same step in `config.accumulate` parts, one after the other, with the numbers of the whole (design: "Groups").
 *
 * Where the loss is the mean of the losses of its parts (whole groups; for DINO any images), each part goes forward and
 * backward once. Otherwise see {@link twoPassProgram}.
 *
 * @param pixels - `u8` for bytes, `f32` for crops that are normalised already
 */
export function accumulatedProgram(
  engine: Engine,
  options: DistillationOptions,
  pixels: 'u8' | 'f32' = 'u8',
): Promise<TrainingProgram> {
  const { config, networks, method } = options;
  const ofPart = partConfig(config, method.separable);
  if (ofPart === undefined) return twoPassProgram(engine, options, pixels);
  const part = { config, networks, method: methodOf(ofPart) };
  const images = config.batchSize / config.accumulate;
  const crops = cropSpecs(config, networks.backbone.config, images, pixels);
  return partwiseProgram(engine, {
    name: config.recipe,
    networks,
    parts: config.accumulate,
    part: {
      state: { ...networkStateUnder(['student.', 'teacher.'], config, networks), ...method.state },
      batch: { ...crops, ...method.batch },
      gradients(state, batch) {
        const { gradients, metrics, teacherMean } = batchGradients(part, state, batch);
        const carried: NamedTensors = method.nextState === undefined ? {} : { [TEACHER_MEAN]: teacherMean };
        return { gradients, metrics: { ...metrics, ...carried } };
      },
      arrays: (batch) => ({
        images: consecutiveParts(config.batchSize, config.accumulate),
        parts: sliceCrops(config, Object.keys(crops), batch).map((arrays) => ({
          ...arrays,
          ...pick(method.batch, batch),
        })),
      }),
    },
    update: updateOf(options),
  });
}

/**
 * Every part's student and teacher outputs are computed first (no activation is kept); the loss and its gradient for all
 * outputs follow from them; then each part runs again, with the same masks, and that gradient is carried back to the
 * parameters and added up; one update ends the step.
 */
function twoPassProgram(engine: Engine, options: DistillationOptions, pixels: 'u8' | 'f32'): Promise<TrainingProgram> {
  const { config, networks, method } = options;
  const { batchSize } = config;
  const part = batchSize / config.accumulate;
  const views = 2 + config.crops.local.count;
  const width = outputWidth(options);
  const crops = cropSpecs(config, networks.backbone.config, part, pixels);
  const sums = gradientSumSpecs(networks);
  const updating = updateOf(options);
  // Rows are crop-major. Two dimensions, so that any number of devices takes them.
  const asRows = (outputs: tf.Tensor3D): tf.Tensor2D => tf.reshape(outputs, [-1, width]);
  const perView = (rows: tf.Tensor): tf.Tensor3D => tf.reshape(rows, [-1, batchSize, width]);
  const outputSpecs: Specs = {
    student: { shape: [views * batchSize, width], dtype: 'f32' },
    teacher: { shape: [2 * batchSize, width], dtype: 'f32' },
  };

  /** Outputs of one part, nothing kept. */
  const outputs: Step = (state, batch) => {
    const sets = cropSets(batch);
    const { outputs: student } = multiCropOutputs(networks, under('student.', state), sets, part);
    const teacher = targetsFor(options, student, teacherOutputs(options, state, sets, part));
    return { state: {}, metrics: { student: asRows(student), teacher: asRows(teacher) } };
  };

  /** Loss of all outputs, and its gradient for the student's. */
  const wholeLoss: Step = (state, { student, teacher, ...batch }) => {
    const all = { student: perView(student), teacher: perView(teacher) };
    const { loss, parts } = method.objective(all, state, batch);
    const cotangent = tf.grad((z) => method.objective({ ...all, student: perView(z) }, state, batch).loss)(student);
    const cls = tf.slice(student as tf.Tensor2D, [0, 0], [batchSize, width]);
    const looked = diagnostics(options, { outputs: all.student, cls }, all.teacher, state, batch);
    const carried: NamedTensors = method.nextState === undefined ? {} : { [TEACHER_MEAN]: meanRow(all.teacher) };
    return { state: {}, metrics: { loss, ...parts, ...looked, ...carried, cotangent } };
  };

  /** Gradients of <outputs of one part, their cotangent>, added to the sums. */
  const addGradients: Step = (state, { cotangent, ...batch }) => {
    const { gradients, student } = studentGradients(options, state, cropSets(batch), part, (z) =>
      tf.sum<tf.Scalar>(tf.mul(asRows(z), cotangent)),
    );
    tf.dispose(student);
    return { state: addToSums(state, gradients), metrics: {} };
  };

  const update: Step = (state, batch) => {
    const { gradients, cleared } = takeSums(state);
    const next = updating.apply(gradients, state, batch);
    return { state: { ...next.state, ...cleared }, metrics: next.metrics };
  };

  return allOrNothing(async (owned) => {
    const store = await owned.add(engine.createStore());
    const compile = (name: string, step: Step, state: Specs, batch: Specs, commitIf?: string): Promise<CompiledStep> =>
      owned.add(
        compileStep(step, {
          engine,
          store,
          name: `${config.recipe}.${name}`,
          state,
          batch,
          ...(commitIf === undefined ? {} : { commitIf }),
        }),
      );
    const cotangentSpec: Specs = { cotangent: { shape: [views * part, width], dtype: 'f32' } };
    const programs = {
      outputs: await compile('outputs', outputs, networkStateUnder(['student.', 'teacher.'], config, networks), crops),
      wholeLoss: await compile('loss', wholeLoss, method.state, { ...outputSpecs, ...method.batch }),
      addGradients: await compile(
        'gradients',
        addGradients,
        { ...networkStateUnder(['student.'], config, networks), ...sums },
        { ...crops, ...cotangentSpec },
      ),
      update: await compile('update', update, { ...updating.state, ...sums }, updating.batch, FINITE),
    };

    return {
      store,
      run: withFreshSums(store, sums, async (batch) => {
        const student = new Float32Array(sizeOf(outputSpecs['student'].shape));
        const teacher = new Float32Array(sizeOf(outputSpecs['teacher'].shape));
        const parts = sliceCrops(config, Object.keys(crops), batch);
        const images = consecutiveParts(batchSize, config.accumulate);
        for (const [k, arrays] of parts.entries()) {
          const found = await programs.outputs.run(arrays);
          placeImages(student, found['student'] as Float32Array, views, batchSize, images[k]);
          placeImages(teacher, found['teacher'] as Float32Array, 2, batchSize, images[k]);
        }
        const found = await programs.wholeLoss.run({ student, teacher, ...pick(method.batch, batch) });
        const { cotangent, [TEACHER_MEAN]: teacherMean, ...metrics } = found;
        for (const [k, arrays] of parts.entries()) {
          await programs.addGradients.run({
            ...arrays,
            cotangent: takeImages(cotangent, views, batchSize, images[k]),
          });
        }
        const all = { ...batch, ...metrics, [TEACHER_MEAN]: teacherMean };
        return { ...metrics, ...(await programs.update.run(pick(updating.batch, all))) };
      }),
      dispose: () => owned.dispose(),
    };
  });
}
