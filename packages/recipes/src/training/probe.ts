import { compileFunction, type Engine, type StateStore } from '@selfsup/compile';
import type { VitConfig } from '@selfsup/backbone-vit';
import type { Dataset } from '@selfsup/datasets';
import { knnClassify, ridgeProbe, type Features, type MatrixProduct } from '@selfsup/eval-suite';
import * as tf from '@tensorflow/tfjs-core';
import type { RecipeConfig } from '../config/types.js';
import { evaluationImages } from '../evaluation/dataset-features.js';
import { fixedSelection, subsetOf } from '../evaluation/dataset-subset.js';
import { featureExtractor, type FeatureExtractor } from '../evaluation/feature-extractor.js';
import type { Recipe } from './recipe.js';

/** Labelled pictures to learn from, and others to test with. */
export interface ProbeData {
  readonly train: Dataset;
  readonly test: Dataset;
}

/** Percent of held-out pictures whose class is found. */
export interface ProbeAccuracy {
  /** By the 20 nearest neighbours, as `knnClassify` does it. */
  readonly knn: { readonly top1: number };
  /** By a linear classifier, see `ridgeProbe`. */
  readonly probe: { readonly top1: number };
}

/** Measures the networks of a running training, as they are in the engine. */
export interface Probe {
  /** Steps from one measurement to the next. */
  readonly everySteps: number;
  /** Pictures it learns from and tests with. */
  readonly images: { readonly train: number; readonly test: number };
  measure(): Promise<ProbeAccuracy>;
  dispose(): Promise<void>;
}

/** Pictures at once. */
const BATCH = 100;

const NEIGHBOURS = 20;

/** One in so many of the sample is held out. */
const HELD_OUT = 3;

/**
 * Share of the steps' work that a probe does, by count of tokens. Less than the 3 % it may take, since reading pictures,
 * neighbours and the linear classifier are not counted.
 */
const WORK_SHARE = 0.02;

/** A student's step costs about three forward passes; its teacher's is not counted, so that the estimate is safe. */
const STEP_PASSES = 3;

/**
 * Steps between two probes of `images` pictures that make them about {@link WORK_SHARE} of the work, in whole intervals
 * of the log. Counted in tokens, so that it is the same on any machine.
 */
export function probeInterval(
  { batchSize, crops, log }: Pick<RecipeConfig, 'batchSize' | 'crops' | 'log'>,
  { imageSize, patchSize, registers }: VitConfig,
  images: number,
): number {
  const tokens = (size: number): number => Math.floor(size / patchSize) ** 2 + registers + 1;
  const { global, local } = crops;
  const perImage = global.views.length * tokens(global.size) + local.count * tokens(local.size);
  const steps = (images * tokens(imageSize)) / (WORK_SHARE * STEP_PASSES * batchSize * perImage);
  return Math.max(1, Math.ceil(steps / log.everySteps)) * log.everySteps;
}

/** How many pictures of each part a probe of `images` takes at most. */
function sampleSizes(images: number): { readonly train: number; readonly test: number } {
  const test = Math.floor(images / HELD_OUT);
  return { train: images - test, test };
}

/**
 * Whether a probe whose interval is up to us would take too much of a run: it measures at the end in any case, and a run
 * shorter than the interval does too little beside.
 */
export function isRunTooShort(
  { config, networks }: Pick<Recipe, 'config' | 'networks'>,
  { train, test }: ProbeData,
  totalSteps: number,
): boolean {
  if (config.probe.everySteps !== 'auto') return false;
  const most = sampleSizes(config.probe.images);
  const images = Math.min(most.train, train.size) + Math.min(most.test, test.size);
  return totalSteps < probeInterval(config, networks.backbone.config, images);
}

/** Prepared pictures with their classes. */
interface Sample {
  readonly batches: readonly Uint8Array[];
  readonly labels: Int32Array;
}

/** The same pictures in every run; those that cannot be read or have no label are left out. */
async function readSample(dataset: Dataset, most: number, imageSize: number): Promise<Sample> {
  const chosen = subsetOf(
    dataset,
    fixedSelection(dataset.size, most).filter((index) => dataset.label(index) !== undefined),
  );
  const batches: Uint8Array[] = [];
  const labels: number[] = [];
  for await (const { pixels, indices } of evaluationImages(chosen, imageSize, BATCH)) {
    if (indices.length === 0) continue;
    batches.push(pixels);
    labels.push(...indices.map((index) => chosen.label(index) as number));
  }
  return { batches, labels: Int32Array.from(labels) };
}

async function featuresOf(extractor: FeatureExtractor, { batches, labels }: Sample): Promise<Features> {
  const { width } = extractor;
  const data = new Float32Array(labels.length * width);
  let at = 0;
  for (const batch of batches) {
    const features = await extractor.extract(batch);
    data.set(features, at);
    at += features.length;
  }
  return { shape: [labels.length, width], data };
}

/** All similarities in one product, on the engine. */
async function productOn(
  engine: Engine,
  rows: number,
  columns: number,
  width: number,
): Promise<{ readonly matmul: MatrixProduct; dispose(): Promise<void> }> {
  const compiled = await compileFunction(({ a, b }) => ({ product: tf.matMul(a, b, false, true) }), {
    engine,
    name: 'similarities',
    inputs: { a: { shape: [rows, width], dtype: 'f32' }, b: { shape: [columns, width], dtype: 'f32' } },
  });
  return {
    matmul: async (a, b) => (await compiled({ a, b }))['product'] as Float32Array,
    dispose: () => compiled.dispose(),
  };
}

/**
 * A probe on the state of a running training: features of the EMA teacher (the student's where there is none), prepared
 * as for `eval knn`, on a fixed sample of the data. It reads weights and draws nothing, so that losses stay what they
 * are without it.
 *
 * @param store - the training's
 * @returns undefined where it is turned off, or no picture of one of the parts has a label and can be read
 */
export async function openProbe(
  engine: Engine,
  store: StateStore,
  { config, networks, state }: Pick<Recipe, 'config' | 'networks' | 'state'>,
  data: ProbeData,
): Promise<Probe | undefined> {
  const { everySteps, images } = config.probe;
  if (everySteps === 0) return undefined;
  const { backbone } = networks;
  const { imageSize, width } = backbone.config;
  const most = sampleSizes(images);
  const train = await readSample(data.train, most.train, imageSize);
  const test = await readSample(data.test, most.test, imageSize);
  const sizes = { train: train.labels.length, test: test.labels.length };
  if (sizes.train === 0 || sizes.test === 0) return undefined;

  const network = Object.keys(state).some((name) => name.startsWith('teacher.')) ? 'teacher' : 'student';
  const batchSize = Math.max(...[...train.batches, ...test.batches].map(({ length }) => length)) / (imageSize ** 2 * 3);
  const extractor = await featureExtractor({ engine, backbone, batchSize, store, prefix: `${network}.backbone.` });
  const product = await productOn(engine, sizes.test, sizes.train, width);
  const classes = Math.max(...train.labels, ...test.labels) + 1;
  return {
    everySteps: everySteps === 'auto' ? probeInterval(config, backbone.config, sizes.train + sizes.test) : everySteps,
    images: sizes,
    async measure() {
      const labelled = {
        trainFeatures: await featuresOf(extractor, train),
        trainLabels: train.labels,
        testFeatures: await featuresOf(extractor, test),
        testLabels: test.labels,
        classes,
      };
      const blockSize = Math.max(sizes.train, sizes.test);
      const knn = await knnClassify({ ...labelled, k: [NEIGHBOURS], blockSize, matmul: product.matmul });
      return { knn: { top1: knn.top1 }, probe: { top1: ridgeProbe(labelled).top1 } };
    },
    async dispose() {
      await extractor.dispose();
      await product.dispose();
    },
  };
}
