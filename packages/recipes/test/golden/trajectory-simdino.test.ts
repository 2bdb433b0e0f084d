import '@tensorflow/tfjs';
import { onnxruntimeEngine } from '@selfsup/engine-onnxruntime';
import type { Engine } from '@selfsup/compile';
import { tfjsEngine } from '@selfsup/compile/node';
import type { HostArrays } from '@selfsup/core';
import { dropPathRates } from '@selfsup/backbone-vit';
import { dinoParameterRule, parameterGroups } from '@selfsup/optim';
import { fixtureCases, type FixtureCase } from '@selfsup/test-kit';
import { describe, expect, it } from 'vitest';
import {
  batchSpecs,
  buildNetworks,
  distillationStep,
  type RecipeConfig,
  scheduledScalars,
  schedulesOf,
  simDinoMethod,
  stateSpecs,
} from '../../src/index.js';
import { compileForFixture, expectParameters, type Hyper, lengthOf, sharedConfig, stepArrays } from './trajectory.js';

const ENGINES: Record<string, () => Promise<Engine>> = {
  'tfjs cpu': () => tfjsEngine({ backend: 'cpu' }),
  onnxruntime: () => onnxruntimeEngine(),
};

const cases = [...fixtureCases('ssl/trajectory-simdino'), ...fixtureCases('ssl/trajectory-world-simdino')];

function configOf(h: Hyper): RecipeConfig {
  return {
    ...sharedConfig(h),
    loss: {
      codingRateEps: h['eps'],
      compressionWeight: h['coeff'],
      expansionFeatures: h['expa_type'] === 0 ? 'student' : 'mean-with-teacher',
      covariance: h['reduce_cov'] === 1 ? 'all-groups' : 'per-group',
      gamma: 'code',
    },
  };
}

async function run(fixture: FixtureCase, engine: Engine): Promise<void> {
  const h = fixture.json['hyper'] as Hyper;
  const config = configOf(h);
  const networks = buildNetworks(config);
  const groups = parameterGroups(networks.specs, dinoParameterRule());
  const dropped = dropPathRates(networks.backbone.config).flatMap((rate, i) => (rate > 0 ? [`blocks.${i}`] : []));
  const state = stateSpecs(config, networks, groups);
  const step = distillationStep({ config, networks, groups, method: simDinoMethod(config) });
  const { compiled, specs } = await compileForFixture(
    engine,
    step,
    state,
    batchSpecs(config, networks, groups, dropped),
  );
  const start: HostArrays = {};
  for (const [name, { shape }] of Object.entries(state)) {
    const parameter = /^(?:student|teacher)\.(.*)$/.exec(name)?.[1];
    start[name] =
      parameter === undefined
        ? new Float32Array(shape.reduce((a, b) => a * b, 1))
        : (fixture.tensor(`init/${parameter}`).data as Float32Array);
  }
  await compiled.load(start);
  const schedules = schedulesOf(config, lengthOf(config, h));
  const rel = fixture.tolerance('scalar');
  const steps = fixture.json['steps'] as {
    lr: number;
    momentum: number;
    wd: number;
    grad_norms: Record<string, number>;
  }[];
  for (let i = 0; i < steps.length; i++) {
    expect(schedules.learningRate(i)).toBeCloseTo(steps[i].lr, 12);
    expect(schedules.weightDecay(i)).toBeCloseTo(steps[i].wd, 12);
    expect(schedules.teacherMomentum(i)).toBeCloseTo(steps[i].momentum, 12);
    const metrics = await compiled.run({
      ...stepArrays(fixture, h, i, specs),
      ...scheduledScalars(i, schedules, groups, config.optimizer),
    });
    for (const [ours, theirs] of [
      ['loss', 'loss'],
      ['compression', 'comp'],
      ['expansion', 'expa'],
    ]) {
      expect([metrics[ours][0]], `step ${i} ${ours}`).toBeAllclose([fixture.scalar(`step${i}/${theirs}`)], {
        maxRel: rel,
      });
    }
    // Norms drift relative to the largest of the step (the fixture's note).
    const names = Object.keys(networks.specs);
    const largest = Math.max(...Object.values(steps[i].grad_norms));
    const norms = names.map((name) => steps[i].grad_norms[name] / largest);
    expect(
      Array.from(metrics['gradientNorms'], (n) => n / largest),
      `step ${i} gradient norms`,
    ).toBeAllclose(norms, { atol: 5e-4 });
  }
  const state1 = await compiled.read(['student.', 'teacher.']);
  expectParameters(fixture, 'final_student', state1, 'student.');
  expectParameters(fixture, 'final_teacher', state1, 'teacher.');
  await compiled.dispose();
  await compiled.store.dispose();
  await engine.dispose();
}

describe.each(Object.entries(ENGINES))('SimDINO trajectories on %s', (_, engine) => {
  it.each(cases.map((c) => [c.name, c] as const))('%s', async (_name, fixture) => {
    await run(fixture, await engine());
  });
});
