import type { Engine } from '@selfsup/compile';
import { SslError, type HostTensor } from '@selfsup/core';
import type { Dataset } from '@selfsup/datasets';
import { knnClassify, type KnnResult } from '@selfsup/eval-suite';
import { datasetFeatures, featureExtractor, type DatasetFeatures } from '@selfsup/recipes';
import type { Vit } from '@selfsup/backbone-vit';

export interface FeaturesOfSplits {
  readonly train: DatasetFeatures;
  readonly test: DatasetFeatures;
}

/** CLS features of both parts of a data set. */
export async function splitFeatures(
  engine: Engine,
  backbone: Vit,
  weights: Readonly<Record<string, HostTensor>>,
  parts: { readonly train: Dataset; readonly test: Dataset },
  batchSize: number,
  onProgress: (done: number, total: number) => void = () => undefined,
): Promise<FeaturesOfSplits> {
  const { imageSize } = backbone.config;
  const total = parts.train.size + parts.test.size;
  const extractor = await featureExtractor({
    engine,
    backbone,
    batchSize,
    weights: Object.fromEntries(Object.entries(weights).map(([name, tensor]) => [name, tensor.data])),
  });
  try {
    const train = await datasetFeatures(extractor, parts.train, imageSize, (done) => onProgress(done, total));
    const test = await datasetFeatures(extractor, parts.test, imageSize, (done) =>
      onProgress(parts.train.size + done, total),
    );
    return { train, test };
  } finally {
    await extractor.dispose();
  }
}

/** Weighted k-NN of held-out pictures against the others. @throws SslError `BAD_DATA` without labels */
export async function knnOfFeatures(
  { train, test }: FeaturesOfSplits,
  classes: number,
  k: readonly number[],
  temperature = 0.07,
): Promise<KnnResult> {
  if (train.labels.includes(-1) || test.labels.includes(-1)) {
    throw new SslError('BAD_DATA', {
      where: 'selfsup.knn',
      expected: 'labelled pictures: CIFAR binaries, or one folder per class',
      got: 'pictures without labels',
      fix: 'sort them into class folders, or look at neighbours instead',
    });
  }
  return knnClassify({
    trainFeatures: train,
    trainLabels: train.labels,
    testFeatures: test,
    testLabels: test.labels,
    classes,
    k,
    temperature,
  });
}
