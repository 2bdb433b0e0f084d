import type { Engine } from '@selfsup/compile';
import { type HostArrays, sizeOf } from '@selfsup/core';
import { fixtureCases, type FixtureCase } from '@selfsup/test-kit';
import { describe, expect, it } from 'vitest';
import { recipeOf, type RecipeConfig } from '../../src/index.js';
import { ENGINES } from '../engines.js';
import { dinov2Config, maskedArrays, type MaskedHyper, oneStep, simdinov2Config } from './masked-trajectory.js';
import { dinoConfig, type Hyper, jointCrops, jointMask, simDinoConfig, withoutKeyBias } from './trajectory.js';

/** The fixtures hold one step: whatever they say of a whole run, nothing is clipped or frozen. */
const RUN = {
  lr: 1e-3,
  min_lr: 0,
  wd: 0,
  wd_end: 0,
  m: 0.9,
  clip: 0,
  epochs: 1,
  nit: 10,
  warmup_epochs: 0,
  freeze: 0,
  wte: 0,
};

interface AccumulationHyper {
  readonly method: string;
  readonly n: number;
  readonly teacher_temp?: number;
}

function configOf(fixture: FixtureCase): RecipeConfig {
  const h = fixture.json['hyper'] as AccumulationHyper;
  const whole = { ...h, ...RUN, wt: h.teacher_temp, tt: h.teacher_temp } as unknown as Hyper;
  const masked = oneStep(h as unknown as MaskedHyper);
  switch (h.method) {
    case 'dino':
      return dinoConfig(whole);
    case 'dinov2':
      return dinov2Config(masked);
    case 'simdinov2':
      return simdinov2Config(masked);
    default:
      return simDinoConfig(whole);
  }
}

/** Crops, masks and stochastic depth of the step. */
function arraysOf(fixture: FixtureCase, config: RecipeConfig): HostArrays {
  if (config.recipe === 'dinov2' || config.recipe === 'simdinov2')
    return maskedArrays(fixture, config, { global: 'global', local: 'local', masks: 'masks', drop: 'drop/' });
  const arrays: HostArrays = { 'crops.global': jointCrops(fixture.tensor('global')) };
  const views = config.crops.local.count;
  if (views > 0) arrays['crops.local'] = jointCrops(fixture.tensor('local'));
  for (const [name, tensor] of Object.entries(fixture.tensors())) {
    const match = /^drop\/(global|local)\/block(\d+)$/.exec(name);
    if (match === null) continue;
    arrays[`keep.${match[1]}.blocks.${match[2]}`] = jointMask(tensor, match[1] === 'global' ? 2 : views);
  }
  return arrays;
}

/** Where a fixture of either generation has the centres. */
const CENTERS: Record<string, string[]> = { 'center.cls': ['center', 'dino_center'], 'center.patch': ['ibot_center'] };

function centerIn(fixture: FixtureCase, name: string, suffix = ''): Float32Array {
  const stored = CENTERS[name].find((center) => center in fixture.tensors());
  if (stored === undefined) throw new Error(`${fixture.name} has no ${name}`);
  return fixture.tensor(`${stored}${suffix}`).data as Float32Array;
}

async function run(fixture: FixtureCase, engine: Engine, accumulate: number): Promise<void> {
  const config = { ...configOf(fixture), accumulate } as RecipeConfig;
  const recipe = recipeOf(config);
  const program = await recipe.accumulated(engine, 'f32');
  const state: HostArrays = {};
  for (const [name, { shape }] of Object.entries(recipe.state)) {
    const parameter = /^(student|teacher)\.(.*)$/.exec(name);
    if (parameter !== null) state[name] = fixture.tensor(`${parameter[1]}/${parameter[2]}`).data as Float32Array;
    else state[name] = name.startsWith('center.') ? centerIn(fixture, name) : new Float32Array(sizeOf(shape));
  }
  await program.store.load(state);
  const schedule = recipe.schedule({ totalSteps: 10, warmupSteps: 0, stepsPerEpoch: 10 });
  const metrics = await program.run({ ...arraysOf(fixture, config), ...schedule.scalars(0) });
  expect([metrics['loss'][0]], 'loss').toBeAllclose([fixture.scalar('loss')], { maxRel: fixture.tolerance('scalar') });
  // After one step from zero the first moment is (1 - beta1) times the gradient.
  const moments = await program.store.read(['adam.m.']);
  for (const full of Object.keys(moments)) {
    const name = full.slice('adam.m.'.length);
    const want = withoutKeyBias(name, fixture.tensor(`grad/${name}`).data as Float32Array);
    const got = withoutKeyBias(name, moments[full]).map((m) => m / (1 - config.optimizer.beta1));
    expect(got, name).toBeAllclose(want, { maxRel: 3 * fixture.tolerance('grad') });
  }
  for (const name of Object.keys(recipe.state).filter((n) => n.startsWith('center.'))) {
    const center = await program.store.read([name]);
    expect(center[name], name).toBeAllclose(centerIn(fixture, name, '_after'), { maxRel: 1e-5 });
  }
  await program.dispose();
  await engine.dispose();
}

const cases = ['simdino', 'dino', 'dinov2', 'simdinov2'].flatMap((recipe) =>
  fixtureCases(`ssl/accumulation-${recipe}`),
);

/** Every number of parts that divides the batch on onnxruntime; one that cuts groups on tfjs. */
function splits(n: number, all: boolean): number[] {
  const divisors = Array.from({ length: n }, (_, i) => i + 1).filter((k) => k > 1 && n % k === 0);
  return all ? divisors : [divisors[divisors.length - 1]];
}

describe.each(Object.entries(ENGINES))('accumulated steps on %s', (name, engine) => {
  for (const fixture of cases) {
    const { n } = fixture.json['hyper'] as AccumulationHyper;
    it.each(splits(n, name === 'onnxruntime'))(`${fixture.name} in %i parts`, async (accumulate) =>
      run(fixture, await engine(), accumulate),
    );
  }
});
