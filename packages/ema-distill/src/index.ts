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
  CENTER_MOMENTUM,
  meanEntropy,
  sinkhornTargets,
  softmaxTargets,
  updateCenter,
  type SinkhornOptions,
} from './targets.js';
export { teacherParameters, type StudentAndTeacher, type TeacherPolicy } from './teacher.js';
