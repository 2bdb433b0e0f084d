import { dropPathRates } from '@selfsup/backbone-vit';
import { compileStep, type Engine, type Graph, type StateStore } from '@selfsup/compile';
import { hostArray, Rng, sizeOf, type HostArrays, type Specs } from '@selfsup/core';
import { adamWMoments } from '@selfsup/optim';
import type { RecipeConfig } from '../config/types.js';
import { methodOf } from '../methods.js';
import { accumulatedProgram, type TrainingProgram } from './accumulation.js';
import { batchSpecs, distillationStep, stateSpecs, type DistillationOptions } from './distillation-step.js';
import type { Method } from './method.js';
import { buildNetworks, prefixed, type Networks } from './networks.js';
import { scheduledScalars, schedulesOf } from './schedules.js';
import { FINITE } from './update.js';

/** A recipe ready to run: networks, compiled program, specs. */
export interface Training {
  readonly config: RecipeConfig;
  readonly networks: Networks;
  readonly method: Method;
  readonly state: Specs;
  readonly batch: Specs;
  readonly store: StateStore;
  /** The compiled step; undefined when it is accumulated over several programs. */
  readonly graph: Graph | undefined;
  /** Batch arrays in, metrics out; the state moves on. */
  run(batch: Readonly<HostArrays>): Promise<HostArrays>;
  /** State at step 0: student and teacher alike, everything else zero. */
  initialState(): HostArrays;
  dispose(): Promise<void>;
}

async function plainProgram(
  engine: Engine,
  options: DistillationOptions,
  state: Specs,
  batch: Specs,
): Promise<TrainingProgram & { graph: Graph }> {
  const compiled = await compileStep(distillationStep(options), {
    engine,
    name: options.config.recipe,
    state,
    batch,
    commitIf: FINITE,
  });
  return {
    graph: compiled.graph,
    store: compiled.store,
    run: (arrays) => compiled.run(arrays),
    dispose: () => compiled.dispose(),
  };
}

/** Names and shapes of a run's state, without compiling anything. */
export function trainingStateSpecs(config: RecipeConfig): Specs {
  return stateSpecs({ config, networks: buildNetworks(config), method: methodOf(config) });
}

/** Builds the networks and compiles the step of a configuration. @throws SslError of the parts and of the engine */
export async function prepareTraining(config: RecipeConfig, engine: Engine): Promise<Training> {
  const networks = buildNetworks(config);
  const method = methodOf(config);
  const options: DistillationOptions = { config, networks, method };
  const dropped = dropPathRates(networks.backbone.config).flatMap((rate, i) => (rate > 0 ? [`blocks.${i}`] : []));
  const state = stateSpecs(options);
  const batch = batchSpecs(options, dropped);
  const program: TrainingProgram & { readonly graph?: Graph } =
    config.accumulate > 1
      ? await accumulatedProgram(engine, options, dropped)
      : await plainProgram(engine, options, state, batch);
  return {
    config,
    networks,
    method,
    state,
    batch,
    store: program.store,
    graph: program.graph,
    run: (arrays) => program.run(arrays),
    initialState() {
      const start = networks.init(config.seed);
      const moments = adamWMoments(start, networks.groups);
      const tensors = {
        ...prefixed('student.', start),
        ...prefixed('teacher.', start),
        ...prefixed('adam.m.', moments),
        ...prefixed('adam.v.', moments),
      };
      return Object.fromEntries(
        Object.entries(state).map(([name, { shape }]) => [
          name,
          tensors[name]?.data ?? new Float32Array(sizeOf(shape)),
        ]),
      );
    },
    dispose: () => program.dispose(),
  };
}

/** A batch of noise with every mask set: what a step costs does not depend on what is in the pictures. */
export function syntheticBatch({ config, batch, networks, method }: Training, step: number): HostArrays {
  const rng = Rng.of(config.seed, 'synthetic-batch', step);
  const arrays = Object.fromEntries(
    Object.entries(batch).map(([name, spec]) => {
      const data = hostArray(spec);
      if (spec.dtype === 'u8') for (let i = 0; i < data.length; i += 4) data.fill(rng.bits() & 255, i, i + 4);
      else data.fill(1);
      return [name, data];
    }),
  );
  const length = { totalSteps: 100, warmupSteps: 0, stepsPerEpoch: 100 };
  return { ...arrays, ...scheduledScalars(step, config, schedulesOf(config, length), length, networks.groups, method) };
}
