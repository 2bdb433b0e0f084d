import type { Engine, Executable, Graph, StateStore } from '@selfsup/compile';
import type { HostArrays } from '@selfsup/core';
import { onnxruntimeEngine } from '@selfsup/engine-onnxruntime';
import { emitStableHlo } from '@selfsup/engine-xla';
import '@selfsup/test-kit'; // matchers
import { describe, expect, it } from 'vitest';
import {
  FINITE,
  type Overrides,
  initialState,
  prepareTraining,
  recipeOf,
  type RecipeConfig,
  resolveConfig,
  syntheticBatch,
} from '../../src/index.js';
import type { TrainingProgram } from '../../src/training/program.js';
import { ENGINES } from '../engines.js';

const BATCH = 12;
const GROUPS = 4;

/** Four groups of three images; views of 3 x 3 patches, some masked; stochastic depth. */
function configOf(recipe: string, changes: Overrides): RecipeConfig {
  const second = recipe.endsWith('v2');
  const backbone = { imageSize: 24, patchSize: 8, width: 8, heads: 1, depth: 2, dropPathRate: 0.3 };
  const prototypes = recipe.startsWith('dino') ? { prototypes: 10 } : {};
  const tiny: Overrides = {
    backbone,
    crops: { global: { size: 24 }, local: { size: 16, count: 1 } },
    head: { hiddenWidth: 8, width: 6, ...prototypes },
    batchSize: BATCH,
    groups: GROUPS,
    ...(second ? { masks: { ratio: [0.2, 0.7] } } : {}),
  };
  return resolveConfig({ recipe, preset: 'cifar-tiny', overrides: [tiny, changes] }).config;
}

interface Outcome {
  readonly metrics: HostArrays;
  readonly state: HostArrays;
  /** Names of the compiled programs. */
  readonly programs: readonly string[];
}

/** An engine, and somebody who is told of everything it compiles. */
const watchedEngine = (engine: Engine, told: (graph: Graph) => unknown): Engine => ({
  name: engine.name,
  composites: engine.composites,
  devices: () => engine.devices(),
  createStore: () => engine.createStore(),
  compile(graph, options) {
    told(graph);
    return engine.compile(graph, options);
  },
  dispose: () => engine.dispose(),
});

/** Two steps, so that what the first remembers counts. */
async function outcome(make: () => Promise<Engine>, config: RecipeConfig): Promise<Outcome> {
  const engine = await make();
  const programs: string[] = [];
  const watched = watchedEngine(engine, ({ name }) => programs.push(name));
  const recipe = recipeOf(config);
  const training = await prepareTraining(recipe, watched);
  // A teacher of its own, so that student and teacher are told apart.
  const teacher = Object.entries(recipe.networks.init(9))
    .map(([name, { data }]) => [`teacher.${name}`, data] as const)
    .filter(([name]) => name in recipe.state);
  await training.store.load({ ...initialState(recipe), ...Object.fromEntries(teacher) });
  await training.run(syntheticBatch(recipe, 3));
  const metrics = await training.run(syntheticBatch(recipe, 4));
  const state = await training.store.read([
    'adam.m.',
    ...(Object.keys(recipe.state).some((name) => name.startsWith('center.')) ? ['center.'] : []),
  ]);
  await training.dispose();
  await engine.dispose();
  return { metrics, state, programs };
}

const CASES: readonly [string, Overrides][] = [
  ['simdino', {}],
  ['simdino', { loss: { covariance: 'all-groups' } }],
  ['dino', {}],
  ['simdinov2', {}],
  ['simdinov2', { loss: { covariance: 'all-groups' } }],
  ['dinov2', {}],
  ['dinov2', { loss: { koleoWeight: 0 }, patchHead: { layers: 2, hiddenWidth: 8, width: 4, prototypes: 7, prototypeNorms: 'trainable' } }], // prettier-ignore
  ['dinov2', { loss: { targets: 'sinkhorn-knopp' } }],
  ['dinov2', { loss: { targets: 'sinkhorn-knopp' }, masks: { probability: 0 } }],
  ['simdinov2', { teacher: { policy: 'student-stopgrad' }, crops: { local: { count: 0 } } }],
  ['dinov2', { teacher: { policy: 'student-stopgrad' }, crops: { local: { count: 0 } } }],
];

/** Whether a part of so many goes forward and backward but once. */
function onePass(recipe: string, changes: Overrides, parts: number): boolean {
  const { covariance, koleoWeight } = (changes['loss'] ?? {}) as { covariance?: string; koleoWeight?: number };
  if (recipe === 'dino' || koleoWeight === 0) return true;
  return GROUPS % parts === 0 && covariance !== 'all-groups';
}

/** Parts that are whole groups and parts that cut them, down to single images; one number of each where steps are slow. */
const PARTS: Readonly<Record<string, readonly number[]>> = { 'tfjs cpu': [2, 3], onnxruntime: [2, 4, 6, 12] };

/** XLA takes ten seconds and more to compile a case; the golden tests run every recipe in parts on it. */
const TRIED = Object.entries(ENGINES).filter(([name]) => name in PARTS);

describe.each(TRIED)('a step in parts on %s', (engine, make) => {
  const wholes = new Map<string, Promise<Outcome>>();
  const wholeOf = (recipe: string, changes: Overrides): Promise<Outcome> => {
    const key = JSON.stringify([recipe, changes]);
    const known = wholes.get(key) ?? outcome(make, configOf(recipe, changes));
    wholes.set(key, known);
    return known;
  };
  const cases = CASES.flatMap(([recipe, changes]) => PARTS[engine].map((parts) => [recipe, changes, parts] as const));

  it.each(cases)('is that of the whole batch: %s %j in %i parts', async (recipe, changes, parts) => {
    const whole = await wholeOf(recipe, changes);
    const found = await outcome(make, configOf(recipe, { ...changes, accumulate: parts }));
    expect(Object.keys(found.metrics).sort()).toEqual(Object.keys(whole.metrics).sort());
    for (const [name, values] of Object.entries(whole.metrics))
      expect(found.metrics[name], name).toBeAllclose(values as Float32Array, { maxRel: 2e-4, atol: 1e-6 });
    // The bias of keys has no gradient but rounding, and moments of a step or two are small.
    for (const [name, values] of Object.entries(whole.state).filter(([key]) => !key.endsWith('attn.qkv.bias')))
      expect(found.state[name], name).toBeAllclose(values as Float32Array, { maxRel: 2e-3, atol: 1e-7 });
    const twice = found.programs.some((name) => name.endsWith('.outputs'));
    expect(twice).toBe(!onePass(recipe, changes, parts));
  });
});

// Parts that go once, and twice, through networks of both generations.
it.each([
  ['dino', 2],
  ['simdino', 12],
  ['dinov2', 12],
] as const)('a step that was not finite leaves nothing in the sums: %s in %i parts', async (name, accumulate) => {
  const own = await onnxruntimeEngine();
  const recipe = recipeOf(configOf(name, { accumulate }));
  const training = await prepareTraining(recipe, own);
  const start = initialState(recipe);
  const [weight] = Object.keys(start);
  const batch = syntheticBatch(recipe, 3);
  await training.store.load(start);
  const { loss, gradientNorms } = await training.run(batch);
  await training.store.load({ ...start, [weight]: start[weight].map(() => NaN) });
  expect((await training.run(batch))[FINITE][0]).toBe(0);
  await training.store.load(start);
  const again = await training.run(batch);
  expect(again['loss']).toEqual(loss);
  expect(again['gradientNorms']).toEqual(gradientNorms);
  await training.dispose();
  await own.dispose();
});

describe('programs of a step in parts', () => {
  const accumulated = async (recipe: string, engine: Engine): Promise<TrainingProgram> =>
    prepareTraining(recipeOf(configOf(recipe, { accumulate: 3 })), engine);

  it.each(['simdino', 'simdinov2', 'dinov2'])('take as many devices as divide the batch: %s', async (recipe) => {
    const engine = await onnxruntimeEngine();
    const graphs: Graph[] = [];
    const training = await accumulated(
      recipe,
      watchedEngine(engine, (graph) => graphs.push(graph)),
    );
    expect(graphs.length).toBe(4);
    for (const graph of graphs) expect(emitStableHlo(graph, { devices: 4 }).devices).toBe(4);
    await training.dispose();
    await engine.dispose();
  });

  it.each(['simdino', 'simdinov2', 'dinov2'])('leave nothing behind when one does not compile: %s', async (recipe) => {
    for (const failing of [0, 1, 2, 3]) {
      let [compiled, alive] = [0, 0];
      const store = (): StateStore => ({
        load: () => Promise.resolve(),
        read: () => Promise.resolve({}),
        specs: () => ({}),
        dispose: () => Promise.resolve(void alive--),
      });
      const executable = (given?: StateStore): Executable => ({
        store: given ?? (alive++, store()),
        run: () => Promise.reject(new Error('never run')),
        dispose: () => Promise.resolve(void alive--),
      });
      const engine: Engine = {
        name: 'none',
        composites: [],
        devices: () => [],
        createStore: () => (alive++, store()),
        compile(_graph, options) {
          if (compiled++ === failing) return Promise.reject(new Error('no such luck'));
          alive++;
          return Promise.resolve(executable(options?.store));
        },
        dispose: () => Promise.resolve(),
      };
      await expect(accumulated(recipe, engine)).rejects.toThrow('no such luck');
      expect([compiled, alive]).toEqual([failing + 1, 0]);
    }
  });
});
