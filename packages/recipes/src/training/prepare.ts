import { setImmediate as turnOfTheEventLoop } from 'node:timers/promises';
import { compileStep, type Engine, type Graph, type StateStore } from '@selfsup/compile';
import { hostArray, Rng, sizeOf, type HostArrays, type Specs } from '@selfsup/core';
import { adamWMoments } from '@selfsup/optim';
import type { RecipeConfig } from '../config/types.js';
import { recipeOf } from '../recipe-of.js';
import type { TrainingProgram } from './program.js';
import { prefixed } from './networks.js';
import type { Recipe } from './recipe.js';
import { FINITE } from './update.js';

/** A recipe ready to run. */
export interface Training {
  readonly recipe: Recipe;
  readonly store: StateStore;
  /** The compiled step; undefined when it is accumulated over several programs. */
  readonly graph: Graph | undefined;
  /** Starts to bring arrays of a coming batch to the device while a step runs; see `Executable.prepare`. */
  prepare(arrays: Readonly<HostArrays>): void;
  /** Batch arrays in, metrics out; the state moves on. */
  run(batch: Readonly<HostArrays>): Promise<HostArrays>;
  dispose(): Promise<void>;
}

async function plainProgram(engine: Engine, recipe: Recipe): Promise<TrainingProgram & { graph: Graph }> {
  const { config, state, frozen, batch, step } = recipe;
  const compiled = await compileStep(step, {
    engine,
    name: config.recipe,
    state: { ...state, ...frozen },
    batch,
    commitIf: FINITE,
  });
  return {
    graph: compiled.graph,
    store: compiled.store,
    prepare: (arrays) => compiled.prepare(arrays),
    run: (arrays) => compiled.run(arrays),
    dispose: () => compiled.dispose(),
  };
}

/** Names and shapes of a run's state, without compiling anything. */
export function trainingStateSpecs(config: RecipeConfig): Specs {
  return recipeOf(config).state;
}

/** State at step 0: student and EMA teacher alike, everything else zero; what is frozen comes from elsewhere. */
export function initialState({ config, networks, state }: Pick<Recipe, 'config' | 'networks' | 'state'>): HostArrays {
  const start = networks.init(config.seed);
  const moments = adamWMoments(start, networks.groups);
  const tensors = {
    ...prefixed('student.', start),
    ...prefixed('teacher.', start),
    ...prefixed('adam.m.', moments),
    ...prefixed('adam.v.', moments),
  };
  return Object.fromEntries(
    Object.entries(state).map(([name, { shape }]) => [name, tensors[name]?.data ?? new Float32Array(sizeOf(shape))]),
  );
}

/** Compiles the step of a recipe. @throws SslError of the parts and of the engine */
export async function prepareTraining(recipe: Recipe, engine: Engine): Promise<Training> {
  const { config } = recipe;
  const program: TrainingProgram & { readonly graph?: Graph } =
    config.accumulate > 1 ? await recipe.accumulated(engine) : await plainProgram(engine, recipe);
  return {
    recipe,
    store: program.store,
    graph: program.graph,
    prepare: (arrays) => program.prepare?.(arrays),
    run: (arrays) => program.run(arrays),
    dispose: () => program.dispose(),
  };
}

/**
 * Compiles the step, and draws the weights of a new run meanwhile: the engine's compiler is at work on other threads.
 * Where one of the two fails nothing is left of the other.
 *
 * @throws SslError of the parts and of the engine
 */
export async function prepareAndDraw(
  recipe: Recipe,
  engine: Engine,
  isNew: boolean,
): Promise<{ readonly training: Training; drawn: HostArrays | undefined }> {
  const draw = async (): Promise<HostArrays> => {
    await turnOfTheEventLoop();
    return initialState(recipe);
  };
  const [training, drawn] = await Promise.allSettled([
    prepareTraining(recipe, engine),
    isNew ? draw() : Promise.resolve(undefined),
  ]);
  if (training.status === 'rejected') throw training.reason as Error;
  if (drawn.status === 'fulfilled') return { training: training.value, drawn: drawn.value };
  await training.value.dispose();
  throw drawn.reason as Error;
}

/** A batch of noise, masks and everything scheduled as in training: what a step costs does not depend on the pictures. */
export function syntheticBatch({ config, batch, draw, schedule }: Recipe, step: number): HostArrays {
  const rng = Rng.of(config.seed, 'synthetic-batch', step);
  const crops = Object.entries(batch).filter(([name]) => name.startsWith('crops.'));
  const pixels = crops.map(([name, spec]): [string, HostArrays[string]] => {
    const data = hostArray(spec);
    for (let i = 0; i < data.length; i += 4) data.fill(rng.bits() & 255, i, i + 4);
    return [name, data];
  });
  const { scalars } = schedule({ totalSteps: Math.max(100, step + 1), warmupSteps: 0, stepsPerEpoch: 100 });
  return { ...Object.fromEntries(pixels), ...draw(step), ...scalars(step) };
}
