// src/commands/knn.ts
import { SslError } from "@selfsup/core";
import { knnClassify } from "@selfsup/eval-suite";
import { datasetFeatures, featureExtractor } from "@selfsup/recipes";
async function splitFeatures(engine, backbone, weights, parts, batchSize, onProgress = () => void 0) {
  const { imageSize } = backbone.config;
  const total = parts.train.size + parts.test.size;
  const extractor = await featureExtractor({
    engine,
    backbone,
    batchSize,
    weights: Object.fromEntries(Object.entries(weights).map(([name, tensor]) => [name, tensor.data]))
  });
  try {
    const train = await datasetFeatures(extractor, parts.train, imageSize, (done) => onProgress(done, total));
    const test = await datasetFeatures(
      extractor,
      parts.test,
      imageSize,
      (done) => onProgress(parts.train.size + done, total)
    );
    return { train, test };
  } finally {
    await extractor.dispose();
  }
}
async function knnOfFeatures({ train, test }, classes, k, temperature = 0.07) {
  if (train.labels.includes(-1) || test.labels.includes(-1)) {
    throw new SslError("BAD_DATA", {
      where: "selfsup.knn",
      expected: "labelled pictures: CIFAR binaries, or one folder per class",
      got: "pictures without labels",
      fix: "sort them into class folders, or look at neighbours instead"
    });
  }
  return knnClassify({
    trainFeatures: train,
    trainLabels: train.labels,
    testFeatures: test,
    testLabels: test.labels,
    classes,
    k,
    temperature
  });
}
export {
  knnOfFeatures,
  splitFeatures
};
