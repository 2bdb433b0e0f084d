import '@tensorflow/tfjs';
import { dropPathRates } from '@selfsup/backbone-vit';
import type { Engine } from '@selfsup/compile';
import { tfjsEngine } from '@selfsup/compile/node';
import { type HostArrays, sizeOf } from '@selfsup/core';
import { onnxruntimeEngine } from '@selfsup/engine-onnxruntime';
import { fixtureCases, type FixtureCase } from '@selfsup/test-kit';
import { describe, expect, it } from 'vitest';
import {
  accumulatedProgram,
  buildNetworks,
  methodOf,
  scheduledScalars,
  schedulesOf,
  stateSpecs,
  trainedNames,
} from '../../src/index.js';
import {
  dinoConfig,
  type Hyper,
  jointCrops,
  jointMask,
  type RecipeConfig,
  simDinoConfig,
  withoutKeyBias,
} from './trajectory.js';

const ENGINES: Record<string, () => Promise<Engine>> = {
  'tfjs cpu': async () => tfjsEngine({ backend: 'cpu' }),
  onnxruntime: async () => onnxruntimeEngine(),
};

/** The fixtures hold one step: settings of a whole run are filled in, clipping is off. */
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

function configOf(h: Hyper & { readonly method: string; readonly teacher_temp?: number }): RecipeConfig {
  const whole = { ...RUN, ...h, wt: h.teacher_temp, tt: h.teacher_temp } as unknown as Hyper;
  return (h.method as unknown as string) === 'dino' ? dinoConfig(whole) : simDinoConfig(whole);
}

async function run(fixture: FixtureCase, engine: Engine, accumulate: number): Promise<void> {
  const h = fixture.json['hyper'] as Hyper & { method: string; n: number };
  const config = { ...configOf(h), accumulate } as RecipeConfig;
  const networks = buildNetworks(config);
  const method = methodOf(config);
  const options = { config, networks, method };
  const dropped = dropPathRates(networks.backbone.config).flatMap((rate, i) => (rate > 0 ? [`blocks.${i}`] : []));
  const program = await accumulatedProgram(engine, options, dropped, 'f32');
  const state: HostArrays = {};
  for (const [name, { shape }] of Object.entries(stateSpecs(options))) {
    const parameter = /^(student|teacher)\.(.*)$/.exec(name);
    state[name] =
      parameter === null
        ? new Float32Array(sizeOf(shape))
        : (fixture.tensor(`${parameter[1]}/${parameter[2]}`).data as Float32Array);
    if (name === 'center.cls') state[name] = fixture.tensor('center').data as Float32Array;
  }
  await program.store.load(state);
  const length = { totalSteps: 10, warmupSteps: 0, stepsPerEpoch: 10 };
  const arrays: HostArrays = { 'crops.global': jointCrops(fixture.tensor('global')) };
  if (h['V'] > 0) arrays['crops.local'] = jointCrops(fixture.tensor('local'));
  for (const block of dropped) {
    const at = block.replace('blocks.', 'block');
    arrays[`keep.global.${block}`] = jointMask(fixture.tensor(`drop/global/${at}`), 2);
    if (h['V'] > 0) arrays[`keep.local.${block}`] = jointMask(fixture.tensor(`drop/local/${at}`), h['V']);
  }
  const metrics = await program.run({
    ...arrays,
    ...scheduledScalars(0, config, schedulesOf(config, length), length, networks.groups, method),
  });
  expect([metrics['loss'][0]], 'loss').toBeAllclose([fixture.scalar('loss')], { maxRel: fixture.tolerance('scalar') });
  // After one step from zero the first moment is (1 - beta1) times the gradient.
  const moments = await program.store.read(['adam.m.']);
  for (const name of trainedNames(networks)) {
    const want = withoutKeyBias(name, fixture.tensor(`grad/${name}`).data as Float32Array);
    const got = withoutKeyBias(name, moments[`adam.m.${name}`]).map((m) => m / (1 - config.optimizer.beta1));
    expect(got, name).toBeAllclose(want, { maxRel: 3 * fixture.tolerance('grad') });
  }
  if ('center_after' in fixture.tensors()) {
    const center = await program.store.read(['center.']);
    expect(center['center.cls']).toBeAllclose(fixture.tensor('center_after').data as Float32Array, { maxRel: 1e-5 });
  }
  await program.dispose();
  await engine.dispose();
}

const cases = ['ssl/accumulation-simdino', 'ssl/accumulation-dino'].flatMap((folder) => fixtureCases(folder));

/** Every number of parts that divides the batch on onnxruntime; one that cuts groups on tfjs. */
function splits(n: number, all: boolean): number[] {
  const divisors = Array.from({ length: n }, (_, i) => i + 1).filter((k) => k > 1 && n % k === 0);
  return all ? divisors : [divisors[divisors.length - 1]];
}

describe.each(Object.entries(ENGINES))('accumulated steps on %s', (name, engine) => {
  for (const fixture of cases) {
    const n = (fixture.json['hyper'] as { n: number }).n;
    it.each(splits(n, name === 'onnxruntime'))(`${fixture.name} in %i parts`, async (accumulate) =>
      run(fixture, await engine(), accumulate),
    );
  }
});
