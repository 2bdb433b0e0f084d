import { compileStep, type Engine, type NamedTensors, type StateStore, type Step } from '@selfsup/compile';
import { sizeOf, type HostArray, type HostArrays, type Specs } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { cropSets, multiCropOutputs } from './crops.js';
import {
  cropSpecs,
  diagnostics,
  meanRow,
  stateSpecs,
  studentGradients,
  targetsFor,
  teacherOutputs,
  updateClipped,
  type DistillationOptions,
} from './distillation-step.js';
import { networkStateSpecs, FINITE, trainedNames, updateBatchSpecs } from './update.js';
import { prefixed, under } from './networks.js';

/** A training step however it is computed: batch arrays of the whole step in, metrics out. */
export interface TrainingProgram {
  readonly store: StateStore;
  run(batch: Readonly<HostArrays>): Promise<HostArrays>;
  dispose(): Promise<void>;
}

/** Images [start, start + count) of arrays whose rows are crop-major: row = crop * images + image. */
export function sliceImages(array: HostArray, crops: number, images: number, start: number, count: number): HostArray {
  const row = array.length / (crops * images);
  const out =
    array instanceof Float32Array ? new Float32Array(crops * count * row) : new Uint8Array(crops * count * row);
  for (let c = 0; c < crops; c++) {
    const from = (c * images + start) * row;
    out.set(array.subarray(from, from + count * row), c * count * row);
  }
  return out;
}

/** Puts a part's crop-major rows back among those of all images. */
export function placeImages(
  target: Float32Array,
  part: Float32Array,
  crops: number,
  images: number,
  start: number,
  count: number,
): void {
  const row = part.length / (crops * count);
  for (let c = 0; c < crops; c++)
    target.set(part.subarray(c * count * row, (c + 1) * count * row), (c * images + start) * row);
}

/**
 * The same step in `config.accumulate` parts, one after the other, with the numbers of the whole (design: "Groups").
 *
 * Every part's student and teacher outputs are computed first (no activation is kept); the loss and its gradient for all
 * outputs follow from them; then each part runs again, with the same masks, and that gradient is carried back to the
 * parameters and added up; one update ends the step. A loss that is a mean over images needs no first pass for the
 * student: its parts are gradients of their own.
 *
 * @param pixels - `u8` for bytes, `f32` for crops that are normalised already
 */
export async function accumulatedProgram(
  engine: Engine,
  options: DistillationOptions,
  dropped: readonly string[],
  pixels: 'u8' | 'f32' = 'u8',
): Promise<TrainingProgram> {
  const { config, networks, method } = options;
  const { accumulate, batchSize, crops } = config;
  const part = batchSize / accumulate;
  const counts: Record<string, number> = { global: 2, local: crops.local.count };
  const views = 2 + crops.local.count;
  const width = networks.head.config.prototypes ?? networks.head.config.outputWidth;
  const state = stateSpecs(options);
  const store = engine.createStore();
  const partCrops = cropSpecs(options, dropped, part, pixels);
  const sums = prefixed(
    'accumulated.',
    Object.fromEntries(trainedNames(networks).map((name) => [name, networks.specs[name]])),
  );
  const compile = (
    name: string,
    step: Step,
    specs: { state: Specs; batch: Specs; commitIf?: string },
  ): ReturnType<typeof compileStep> => compileStep(step, { engine, store, name: `${config.recipe}.${name}`, ...specs });

  /** Outputs of one part, nothing kept. */
  const outputs: Step = (weights, batch) => {
    const sets = cropSets(batch);
    const { outputs: student } = multiCropOutputs(networks, under('student.', weights), sets, part);
    return {
      state: {},
      metrics: { student, teacher: targetsFor(options, student, teacherOutputs(options, weights, sets, part)) },
    };
  };

  /** Loss of all outputs, and its gradient for the student's. */
  const outputSpecs: Specs = {
    student: { shape: [views, batchSize, width], dtype: 'f32' },
    teacher: { shape: [2, batchSize, width], dtype: 'f32' },
  };
  const wholeLoss: Step = (extra, { student, teacher, ...batch }) => {
    const all = { student: student as tf.Tensor3D, teacher: teacher as tf.Tensor3D };
    const { loss, parts } = method.objective(all, extra, batch);
    const cotangent = tf.grad((z) => method.objective({ ...all, student: z as tf.Tensor3D }, extra, batch).loss)(
      student,
    );
    const cls = tf.reshape(tf.slice(student, [0, 0, 0], [1, -1, -1]), [batchSize, width]) as tf.Tensor2D;
    const looked = diagnostics(options, { outputs: all.student, cls }, all.teacher, extra, batch);
    return { state: {}, metrics: { loss, ...parts, ...looked, cotangent } };
  };

  /** Gradients of one part added to the sums: of its own loss, or of <outputs, cotangent>. */
  const addGradients: Step = (weights, { cotangent, ...batch }) => {
    const sets = cropSets(batch);
    const teacher = method.perImage ? teacherOutputs(options, weights, sets, part) : undefined;
    let parts: NamedTensors = {};
    const { loss, gradients, student } = studentGradients(options, weights, sets, part, (z) => {
      if (!method.perImage) return tf.sum(tf.mul(z, cotangent)) as tf.Scalar;
      const objective = method.objective({ student: z, teacher: targetsFor(options, z, teacher) }, weights, batch);
      parts = Object.fromEntries(Object.entries(objective.parts).map(([name, value]) => [name, tf.keep(value)]));
      return objective.loss;
    });
    // Parts of a mean over images weigh 1 / accumulate each; a cotangent is that of the whole already.
    const weight = method.perImage ? 1 / accumulate : 1;
    const next = Object.fromEntries(
      Object.entries(gradients).map(([name, g]) => [
        `accumulated.${name}`,
        tf.add(weights[`accumulated.${name}`], tf.mul(g, weight)),
      ]),
    );
    const targets = targetsFor(options, student.outputs, teacher);
    const metrics = method.perImage
      ? {
          loss,
          ...Object.fromEntries(Object.entries(parts).map(([name, value]) => [name, tf.clone(value)])),
          teacherMean: meanRow(targets),
          ...diagnostics(options, student, targets, weights, batch),
        }
      : { loss };
    tf.dispose([parts, student]);
    return { state: next, metrics };
  };

  /** Update from the sums, which start at zero again. */
  const update: Step = (all, { loss, teacherMean, ...batch }) => {
    const gradients = under('accumulated.', all);
    const { state: next, metrics } = updateClipped(options, gradients, loss, all, batch);
    const zeros = Object.fromEntries(
      Object.entries(gradients).map(([name, g]) => [`accumulated.${name}`, tf.zerosLike(g)]),
    );
    return { state: { ...next, ...zeros, ...method.nextState?.(teacherMean as tf.Tensor2D, all) }, metrics };
  };

  const onlyNetworks = (names: readonly string[]): Specs =>
    Object.fromEntries(
      Object.entries(networkStateSpecs(config, networks)).filter(([name]) => names.some((n) => name.startsWith(n))),
    );
  const readers = { ...onlyNetworks(['student.', 'teacher.']), ...method.state };
  const loss = { loss: { shape: [], dtype: 'f32' } } as const;
  const teacherMean: Specs = method.nextState === undefined ? {} : { teacherMean: { shape: [1, width], dtype: 'f32' } };
  const programs = {
    outputs: method.perImage
      ? undefined
      : await compile('outputs', outputs, { state: onlyNetworks(['student.', 'teacher.']), batch: partCrops }),
    wholeLoss: method.perImage
      ? undefined
      : await compile('loss', wholeLoss, { state: method.state, batch: { ...outputSpecs, ...method.batch } }),
    addGradients: await compile('gradients', addGradients, {
      state: { ...(method.perImage ? readers : onlyNetworks(['student.'])), ...sums },
      batch: {
        ...partCrops,
        ...(method.perImage ? method.batch : { cotangent: { shape: [views, part, width], dtype: 'f32' } as const }),
      },
    }),
    update: await compile('update', update, {
      state: { ...state, ...sums },
      batch: { ...updateBatchSpecs(networks), ...loss, ...teacherMean },
      commitIf: FINITE,
    }),
  };
  await store.load(
    Object.fromEntries(Object.entries(sums).map(([name, { shape }]) => [name, new Float32Array(sizeOf(shape))])),
  );

  const partOf = (batch: Readonly<HostArrays>, k: number): HostArrays =>
    Object.fromEntries(
      Object.keys(partCrops).map((name) => {
        const kind = name.split('.')[1];
        // Masks are [2, rows]: two blocks of crop-major rows.
        const blocks = name.startsWith('keep.') ? 2 : 1;
        return [name, sliceImages(batch[name], blocks * counts[kind], batchSize, k * part, part)];
      }),
    );
  const scalars = (specs: Specs, batch: Readonly<HostArrays>): HostArrays =>
    Object.fromEntries(Object.keys(specs).map((name) => [name, batch[name]]));
  const parts = Array.from({ length: accumulate }, (_, k) => k);

  return {
    store,
    async run(batch) {
      const updateScalars = scalars(updateBatchSpecs(networks), batch);
      const methodScalars = scalars(method.batch, batch);
      if (programs.outputs !== undefined && programs.wholeLoss !== undefined) {
        const whole = {
          student: new Float32Array(sizeOf(outputSpecs['student'].shape)),
          teacher: new Float32Array(sizeOf(outputSpecs['teacher'].shape)),
        };
        for (const k of parts) {
          const found = await programs.outputs.run(partOf(batch, k));
          placeImages(whole.student, found['student'] as Float32Array, views, batchSize, k * part, part);
          placeImages(whole.teacher, found['teacher'] as Float32Array, 2, batchSize, k * part, part);
        }
        const { cotangent, ...metrics } = await programs.wholeLoss.run({ ...whole, ...methodScalars });
        for (const k of parts) {
          await programs.addGradients.run({
            ...partOf(batch, k),
            cotangent: sliceImages(cotangent, views, batchSize, k * part, part),
          });
        }
        return { ...metrics, ...(await programs.update.run({ ...updateScalars, loss: metrics['loss'] })) };
      }
      const found: HostArrays[] = [];
      for (const k of parts) found.push(await programs.addGradients.run({ ...partOf(batch, k), ...methodScalars }));
      const { features, ...means } = found[0];
      void features;
      const mean = Object.fromEntries(
        Object.keys(means).map((name) => [name, averaged(found.map((metrics) => metrics[name] as Float32Array))]),
      );
      const { teacherMean: rowMean, ...metrics } = mean;
      const updated = await programs.update.run({
        ...updateScalars,
        loss: metrics['loss'],
        ...(method.nextState === undefined ? {} : { teacherMean: rowMean }),
      });
      return { ...metrics, features: joined(found.map((m) => m['features'] as Float32Array)), ...updated };
    },
    async dispose() {
      for (const program of Object.values(programs)) await program?.dispose();
      await store.dispose();
    },
  };
}

function averaged(arrays: readonly Float32Array[]): Float32Array {
  return arrays[0].map((_, i) => arrays.reduce((sum, a) => sum + a[i], 0) / arrays.length);
}

function joined(arrays: readonly Float32Array[]): Float32Array {
  const out = new Float32Array(arrays.reduce((n, a) => n + a.length, 0));
  arrays.reduce((at, a) => (out.set(a, at), at + a.length), 0);
  return out;
}
