/**
 * DINO's and SimDINO's rule (also SimDINOv2's `linear_wrt_1024` with reference 1024): base * batchSize / reference.
 *
 * @param batchSize - Images per optimiser step over all groups and devices.
 */
export function linearScaledLearningRate(base: number, batchSize: number, referenceBatchSize = 256): number {
  return (base * batchSize) / referenceBatchSize;
}

/**
 * DINOv2's and SimDINOv2's rule `sqrt_wrt_1024`: base * sqrt(batchSize / reference).
 *
 * @param batchSize - Images per optimiser step over all groups and devices.
 */
export function sqrtScaledLearningRate(base: number, batchSize: number, referenceBatchSize = 1024): number {
  return base * Math.sqrt(batchSize / referenceBatchSize);
}
