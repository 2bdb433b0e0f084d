import { compileStep, type CompiledStep, type Engine, type NamedTensors, type Step } from '@selfsup/compile';
import { sizeOf, type HostArrays, type Specs } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { placeImages, sliceImages, type TrainingProgram } from '../training/accumulation.js';
import { prefixed, under } from '../training/networks.js';
import { FINITE, networkStateSpecs, trainedNames, updateBatchSpecs } from '../training/update.js';
import { maskArrays, maskedCapacity, patchesPerView } from './masked-rows.js';
import type { StudentOutputs, TeacherOutputs } from './method.js';
import { outputWidth } from './networks.js';
import {
  diagnostics,
  maskedStateSpecs,
  maskedViewSpecs,
  studentGradients,
  studentOutputs,
  teacherOutputs,
  updateClipped,
  type MaskedDistillation,
} from './step.js';
import { partSubsets, viewCounts } from './subsets.js';

const SUMS = 'accumulated.';

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
 * The step of DINOv2 or SimDINOv2 in `config.accumulate` parts, one after the other, with the numbers of the whole.
 *
 * Every part's outputs of student and teacher come first (no activation is kept); the loss of all of them, its gradient
 * and the new centres follow; then each part's student runs again, with the same masks and stochastic depth, and carries
 * its share of that gradient back to the parameters, where it is added up; one update ends the step. So Sinkhorn, KoLeo
 * and the coding rate see the whole batch, and subsets of stochastic depth are those of whole groups.
 *
 * @param pixels - `u8` for bytes, `f32` for crops that are normalised already
 */
export async function accumulatedMaskedProgram(
  engine: Engine,
  options: MaskedDistillation,
  pixels: 'u8' | 'f32' = 'u8',
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
  const sums = prefixed(SUMS, Object.fromEntries(trainedNames(networks).map((name) => [name, networks.specs[name]])));
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
    const next = method.nextState?.(teacher, batch['patches.centerWeights'] as tf.Tensor1D, state);
    return { state: {}, metrics: { ...metrics, ...prefixed('next.', next ?? {}) } };
  };

  /** Gradients of <outputs, their gradient>, added to the sums. */
  const addGradients: Step = (state, batch) => {
    const { gradients, student } = studentGradients(options, state, batch, (found) =>
      scalarSum(method.learnsFrom.map((name) => tf.mul(found[name], batch[`gradient.student.${name}`]))),
    );
    tf.dispose(student);
    const added = Object.entries(gradients).map(([name, g]) => [SUMS + name, tf.add(state[SUMS + name], g)]);
    return { state: Object.fromEntries(added) as NamedTensors, metrics: {} };
  };

  /** Update from the sums, which start at zero again; new state of the method comes with it. */
  const update: Step = (state, { loss, ...batch }) => {
    const gradients = under(SUMS, state);
    const { state: next, metrics } = updateClipped(options, gradients, loss, state, batch);
    const zeros = Object.entries(gradients).map(([name, g]) => [SUMS + name, tf.zerosLike(g)]);
    return { state: { ...next, ...Object.fromEntries(zeros), ...under('next.', batch) } as NamedTensors, metrics };
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
    update: await compile(
      'update',
      update,
      { ...maskedStateSpecs(options), ...sums },
      {
        ...updateBatchSpecs(networks),
        ...prefixed('next.', method.nextState === undefined ? {} : method.state),
        loss: { shape: [], dtype: 'f32' },
      },
      FINITE,
    ),
  };
  await store.load(
    Object.fromEntries(Object.entries(sums).map(([name, { shape }]) => [name, new Float32Array(sizeOf(shape))])),
  );

  const pick = (specs: Specs, arrays: Readonly<HostArrays>): HostArrays =>
    Object.fromEntries(Object.keys(specs).map((name) => [name, arrays[name]]));
  const partBatch = (batch: Readonly<HostArrays>, start: number): HostArrays => {
    const masks = sliceImages(batch['masks'], 2, batchSize, start, part);
    // The weights of a centre's mean are those of the whole batch; here they are not used.
    return pick(views, {
      ...Object.fromEntries(
        Object.entries(viewCounts(config)).map(([kind, count]) => [
          `crops.${kind}`,
          sliceImages(batch[`crops.${kind}`], count, batchSize, start, part),
        ]),
      ),
      ...maskArrays(config, masks, part, 1),
      ...partSubsets(config, networks.backbone.config, batch, start, part),
    });
  };
  /** Weights of the rows of masked patches, in the order of the parts. */
  const weightsOfRows = (batch: Readonly<HostArrays>, parts: readonly HostArrays[]): HostArrays => {
    const patches = patchesPerView(config);
    const centerWeights = new Float32Array(2 * batchSize * patches);
    // Padding repeats place 0 behind the last row; its weight is 0.
    batch['patches.indices'].forEach((place, row) => (centerWeights[place] += batch['patches.centerWeights'][row]));
    const weights = { 'patches.weights': new Float32Array(rows), 'patches.centerWeights': new Float32Array(rows) };
    parts.forEach((arrays, k) => {
      weights['patches.weights'].set(arrays['patches.weights'], k * capacity);
      arrays['patches.indices'].forEach((place, row) => {
        if (arrays['patches.weights'][row] === 0) return;
        const view = Math.floor(place / patches);
        const image = (view % part) + k * part;
        const whole = (Math.floor(view / part) * batchSize + image) * patches + (place % patches);
        weights['patches.centerWeights'][k * capacity + row] = centerWeights[whole];
      });
    });
    return weights;
  };

  return {
    store,
    async run(batch) {
      const parts = Array.from({ length: accumulate }, (_, k) => partBatch(batch, k * part));
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
        ...weightsOfRows(batch, parts),
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
      const metrics = Object.entries(all).filter(([name]) => !/^(?:next|gradient)\./.test(name));
      const updated = await programs.update.run({
        ...pick(updateBatchSpecs(networks), batch),
        ...prefixed('next.', under('next.', all)),
        loss: all['loss'],
      });
      return { ...Object.fromEntries(metrics), ...updated };
    },
    async dispose() {
      for (const program of Object.values(programs)) await program.dispose();
      await store.dispose();
    },
  };
}
