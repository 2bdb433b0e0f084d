import { dropPathRates } from '@selfsup/backbone-vit';
import { compileStep, type CompiledStep, type Engine } from '@selfsup/compile';
import { hostArray, Rng, type HostArrays, type Specs } from '@selfsup/core';
import { adamWMoments, dinoParameterRule, parameterGroups, type ParameterGroups } from '@selfsup/optim';
import type { RecipeConfig } from '../config/types.js';
import { simDinoMethod } from '../simdino/method.js';
import { batchSpecs, distillationStep, FINITE, stateSpecs } from './distillation-step.js';
import { buildNetworks, prefixed, type Networks } from './networks.js';
import { scheduledScalars, schedulesOf } from './schedules.js';

/** A recipe ready to run: networks, compiled step, specs. */
export interface Training {
  readonly config: RecipeConfig;
  readonly networks: Networks;
  readonly groups: ParameterGroups;
  readonly state: Specs;
  readonly batch: Specs;
  readonly compiled: CompiledStep;
  /** State at step 0: student and teacher alike, moments zero. */
  initialState(): HostArrays;
  dispose(): Promise<void>;
}

/** Builds the networks and compiles the step of a configuration. @throws SslError of the parts and of the engine */
export async function prepareTraining(config: RecipeConfig, engine: Engine): Promise<Training> {
  const networks = buildNetworks(config);
  const groups = parameterGroups(networks.specs, dinoParameterRule());
  const state = stateSpecs(config, networks, groups);
  const dropped = dropPathRates(networks.backbone.config).flatMap((rate, i) => (rate > 0 ? [`blocks.${i}`] : []));
  const batch = batchSpecs(config, networks, groups, dropped);
  const step = distillationStep({ config, networks, groups, method: simDinoMethod(config) });
  const compiled = await compileStep(step, { engine, name: config.recipe, state, batch, commitIf: FINITE });
  return {
    config,
    networks,
    groups,
    state,
    batch,
    compiled,
    initialState() {
      const start = networks.init(config.seed);
      const moments = adamWMoments(start, groups);
      const tensors = {
        ...prefixed('student.', start),
        ...prefixed('teacher.', start),
        ...prefixed('adam.m.', moments),
        ...prefixed('adam.v.', moments),
      };
      return Object.fromEntries(Object.keys(state).map((name) => [name, tensors[name].data]));
    },
    async dispose() {
      await compiled.dispose();
      await compiled.store.dispose();
    },
  };
}

/** A batch of noise with every mask set: what a step costs does not depend on what is in the pictures. */
export function syntheticBatch({ config, batch, groups }: Training, step: number): HostArrays {
  const rng = Rng.of(config.seed, 'synthetic-batch', step);
  const arrays = Object.fromEntries(
    Object.entries(batch).map(([name, spec]) => {
      const data = hostArray(spec);
      if (spec.dtype === 'u8') for (let i = 0; i < data.length; i += 4) data.fill(rng.bits() & 255, i, i + 4);
      else data.fill(1);
      return [name, data];
    }),
  );
  const schedules = schedulesOf(config, { totalSteps: 100, warmupSteps: 0, stepsPerEpoch: 100 });
  return { ...arrays, ...scheduledScalars(step, schedules, groups, config.optimizer) };
}
