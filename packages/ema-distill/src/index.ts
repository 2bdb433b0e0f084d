export { pairwiseCrossEntropy, rowCrossEntropy } from './cross-entropy.js';
export {
  dinoCrossEntropy,
  dinoLoss,
  STUDENT_TEMPERATURE,
  type DinoLossInput,
  type DinoLossOutput,
} from './dino-loss.js';
export { dinov2ClsLoss, type Dinov2ClsLoss, type Dinov2ClsLossInput } from './dinov2-loss.js';
export { emaUpdate, momentumSchedule, type Momentum, type MomentumScheduleOptions, type Tensors } from './ema.js';
export { ibotLoss, type IbotLossInput } from './ibot-loss.js';
export { KOLEO_EPSILON, koleoLoss, type KoleoOptions } from './koleo-loss.js';
export { maskedPatches, type MaskedPatches, type MaskedPatchesInput } from './masked-patches.js';
export {
  projectionHead,
  type ProjectionHead,
  type ProjectionHeadConfig,
  type ResolvedProjectionHeadConfig,
} from './projection-head.js';
export { prototypeLogits } from './prototypes.js';
export type { ScalarLike } from './scalars.js';
export {
  joinSinkhornSums,
  SINKHORN_ITERATIONS,
  sinkhornSums,
  sinkhornTargets,
  type PartOfSinkhornSums,
  type SinkhornFactors,
  type SinkhornOptions,
  type SinkhornSums,
} from './sinkhorn.js';
export { CENTER_MOMENTUM, meanEntropy, softmaxTargets, updateCenter } from './targets.js';
export { teacherParameters, type StudentAndTeacher, type TeacherPolicy } from './teacher.js';
