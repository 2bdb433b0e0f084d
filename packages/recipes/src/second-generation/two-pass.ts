import { compileStep, type CompiledStep, type Engine, type NamedTensors, type Step } from '@selfsup/compile';
import { sizeOf, type HostArrays, type Specs } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { addToSums, gradientSumSpecs, takeSums, withFreshSums } from '../training/gradient-sums.js';
import { placeImages, sliceImages } from '../training/image-rows.js';
import { prefixed, under } from '../training/networks.js';
import { CARRIED, pick } from '../training/partwise.js';
import type { TrainingProgram } from '../training/program.js';
import { FINITE, networkStateSpecs } from '../training/update.js';
import { updateOf } from './accumulated-update.js';
import { maskedCapacity } from './masked-rows.js';
import type { StudentOutputs, TeacherOutputs } from './method.js';
import { outputWidth } from './networks.js';
import { partArrays } from './parts.js';
import {
  diagnostics,
  maskedViewSpecs,
  studentGradients,
  studentOutputs,
  teacherMeans,
  teacherOutputs,
  type MaskedDistillation,
} from './step.js';

/** Shapes of both networks' outputs for `images` images with `rows` places for masked patches. */
function outputSpecs({ config, networks }: MaskedDistillation, images: number, rows: number): Specs {
  const { clsHead, patchHead, backbone } = networks;
  const views = 2 + config.crops.local.count;
  const shapes: Record<string, number[]> = {
    'student.cls': [views, images, outputWidth(clsHead)],
    'student.tokens': [2, images, backbone.config.width],
    'student.patches': [rows, outputWidth(patchHead)],
    'teacher.cls': [2, images, outputWidth(clsHead)],
    'teacher.patches': [rows, outputWidth(patchHead)],
  };
  return Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, { shape, dtype: 'f32' }]));
}

const scalarSum = (terms: readonly tf.Tensor[]): tf.Scalar => tf.addN(terms.map((t) => tf.sum(t))) as tf.Scalar;

/**
 * Every part's outputs of student and teacher come first (no activation is kept); the loss of all of them, its gradient
 * and the new centres follow; then each part's student runs again, with the same masks and stochastic depth, and carries
 * its share of that gradient back to the parameters, where it is added up; one update ends the step. So Sinkhorn, KoLeo
 * and the coding rate see the whole batch.
 */
export async function twoPassProgram(
  engine: Engine,
  options: MaskedDistillation,
  pixels: 'u8' | 'f32',
): Promise<TrainingProgram> {
  const { config, networks, method } = options;
  const { accumulate, batchSize } = config;
  const part = batchSize / accumulate;
  const capacity = maskedCapacity(config, part);
  const rows = accumulate * capacity;
  const partSpecs = outputSpecs(options, part, capacity);
  const wholeSpecs = outputSpecs(options, batchSize, rows);
  const learned = method.learnsFrom.map((name) => `student.${name}`);
  const network = (prefix: string): Specs =>
    Object.fromEntries(Object.entries(networkStateSpecs(config, networks)).filter(([name]) => name.startsWith(prefix)));
  const sums = gradientSumSpecs(networks);
  const updating = updateOf(options);
  const views = maskedViewSpecs(options, part, pixels);
  const rowSpec = { shape: [rows], dtype: 'f32' } as const;
  const rowWeights: Specs = { 'patches.weights': rowSpec, 'patches.centerWeights': rowSpec };

  const outputs: Step = (state, batch) => {
    const student = studentOutputs(options, under('student.', state), batch);
    return {
      state: {},
      metrics: { ...prefixed('student.', student), ...prefixed('teacher.', teacherOutputs(options, state, batch)) },
    };
  };

  const wholeLoss: Step = (state, batch) => {
    const student = under('student.', batch) as StudentOutputs;
    const teacher = under('teacher.', batch) as TeacherOutputs;
    const weights = batch['patches.weights'] as tf.Tensor1D;
    let parts: NamedTensors = {};
    const { value, grads } = tf.valueAndGrads((...values: tf.Tensor[]) => {
      const given = Object.fromEntries(method.learnsFrom.map((name, i) => [name, values[i]]));
      const objective = method.objective({ student: { ...student, ...given }, teacher, weights }, state, batch);
      parts = Object.fromEntries(Object.entries(objective.parts).map(([name, value]) => [name, tf.keep(value)]));
      return objective.loss;
    })(method.learnsFrom.map((name) => student[name]));
    const metrics = {
      loss: value,
      ...Object.fromEntries(Object.entries(parts).map(([name, value]) => [name, tf.clone(value)])),
      ...diagnostics(options, student, teacher, state, batch),
      ...Object.fromEntries(learned.map((name, i) => [`gradient.${name}`, grads[i]])),
    };
    tf.dispose(parts);
    const carried: NamedTensors =
      method.nextState === undefined
        ? {}
        : prefixed(CARRIED, teacherMeans(teacher, batch['patches.centerWeights'] as tf.Tensor1D));
    return { state: {}, metrics: { ...metrics, ...carried } };
  };

  /** Gradients of <outputs, their gradient>, added to the sums. */
  const addGradients: Step = (state, batch) => {
    const { gradients, student } = studentGradients(options, state, batch, (found) =>
      scalarSum(method.learnsFrom.map((name) => tf.mul(found[name], batch[`gradient.student.${name}`]))),
    );
    tf.dispose(student);
    return { state: addToSums(state, gradients), metrics: {} };
  };

  const update: Step = (state, batch) => {
    const { gradients, cleared } = takeSums(state);
    const next = updating.apply(gradients, state, batch);
    return { state: { ...next.state, ...cleared }, metrics: next.metrics };
  };

  const store = engine.createStore();
  const compile = (name: string, step: Step, state: Specs, batch: Specs, commitIf?: string): Promise<CompiledStep> =>
    compileStep(step, {
      engine,
      store,
      name: `${config.recipe}.${name}`,
      state,
      batch,
      ...(commitIf === undefined ? {} : { commitIf }),
    });
  const partGradients = Object.fromEntries(learned.map((name) => [`gradient.${name}`, partSpecs[name]]));
  const programs = {
    outputs: await compile('outputs', outputs, { ...network('student.'), ...network('teacher.') }, views),
    wholeLoss: await compile('loss', wholeLoss, method.state, { ...wholeSpecs, ...rowWeights, ...method.batch }),
    addGradients: await compile(
      'gradients',
      addGradients,
      { ...network('student.'), ...sums },
      { ...views, ...partGradients },
    ),
    update: await compile('update', update, { ...updating.state, ...sums }, updating.batch, FINITE),
  };

  /** Weights of the rows of masked patches, in the order of the parts. */
  const weightsOfRows = (parts: readonly HostArrays[]): HostArrays => {
    const weights = { 'patches.weights': new Float32Array(rows), 'patches.centerWeights': new Float32Array(rows) };
    parts.forEach((arrays, k) => {
      weights['patches.weights'].set(arrays['patches.weights'], k * capacity);
      // Those of a part are for a mean over parts.
      const ofPart = arrays['patches.centerWeights'] as Float32Array;
      weights['patches.centerWeights'].set(
        ofPart.map((weight) => weight / accumulate),
        k * capacity,
      );
    });
    return weights;
  };

  return {
    store,
    run: withFreshSums(store, sums, async (batch) => {
      const parts = partArrays(options, views, batch);
      const whole = Object.fromEntries(
        Object.entries(wholeSpecs).map(([name, { shape }]) => [name, new Float32Array(sizeOf(shape))]),
      );
      for (const [k, arrays] of parts.entries()) {
        const found = await programs.outputs.run(arrays);
        for (const [name, { shape }] of Object.entries(partSpecs)) {
          const values = found[name] as Float32Array;
          if (name.endsWith('.patches')) whole[name].set(values, k * values.length);
          else placeImages(whole[name], values, shape[0], batchSize, k * part, part);
        }
      }
      const all = await programs.wholeLoss.run({
        ...whole,
        ...weightsOfRows(parts),
        ...pick(method.batch, batch),
      });
      for (const [k, arrays] of parts.entries()) {
        const gradients = learned.map((name): [string, HostArrays[string]] => {
          const key = `gradient.${name}`;
          const { shape } = partSpecs[name];
          return [
            key,
            name.endsWith('.patches')
              ? all[key].subarray(k * sizeOf(shape), (k + 1) * sizeOf(shape))
              : sliceImages(all[key], shape[0], batchSize, k * part, part),
          ];
        });
        await programs.addGradients.run({ ...arrays, ...Object.fromEntries(gradients) });
      }
      const metrics = Object.entries(all).filter(([name]) => !name.startsWith('gradient.'));
      const updated = await programs.update.run(pick(updating.batch, { ...batch, ...all }));
      return {
        ...Object.fromEntries(metrics.filter(([name]) => !name.startsWith(CARRIED))),
        ...updated,
      };
    }),
    async dispose() {
      for (const program of Object.values(programs)) await program.dispose();
      await store.dispose();
    },
  };
}
