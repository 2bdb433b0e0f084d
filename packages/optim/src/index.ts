export { adamW, adamWMoments, type AdamWInput, type AdamWOutput, type Tensors } from './adamw.js';
export {
  ADAMW_COLUMNS,
  ADAMW_DEFAULTS,
  adamWScalars,
  adamWScalarsSpec,
  type AdamWClock,
  type AdamWConstants,
  type AdamWStep,
} from './adamw-scalars.js';
export {
  allFinite,
  clipPerModule,
  clipPerTensor,
  clipScalesPerModule,
  clipScalesPerTensor,
  type Clipped,
  type ClipScales,
  type MaxNorm,
} from './clipping.js';
export { linearScaledLearningRate, sqrtScaledLearningRate } from './learning-rate.js';
export {
  dinoSchedules,
  dinov2Schedules,
  simdinov2Schedules,
  type DinoScheduleOptions,
  type DinoSchedules,
  type Dinov2ScheduleOptions,
  type Dinov2Schedules,
  type MethodScheduleOptions,
  type MovingSetting,
  type Simdinov2ScheduleOptions,
  type Simdinov2Schedules,
  type Span,
} from './method-schedules.js';
export {
  dinoParameterRule,
  dinov2ParameterRule,
  LAST_LAYER_CLOCK,
  MAIN_CLOCK,
  parameterGroups,
  type Dinov2ParameterRuleOptions,
  type ParameterGroup,
  type ParameterGroups,
  type ParameterGroupsOptions,
  type ParameterRule,
  type ParameterTreatment,
} from './parameter-groups.js';
export {
  cosineSchedule,
  linearSchedule,
  perEpoch,
  teacherTemperatureSchedule,
  type Ramp,
  type Schedule,
  type ScheduleOptions,
  type TeacherTemperatureOptions,
} from './schedule.js';
