import '@tensorflow/tfjs';
import { dropPathRates } from '@selfsup/backbone-vit';
import type { Engine } from '@selfsup/compile';
import { tfjsEngine } from '@selfsup/compile/node';
import { type HostArrays, sizeOf } from '@selfsup/core';
import { onnxruntimeEngine } from '@selfsup/engine-onnxruntime';
import { fixtureCases, type FixtureCase } from '@selfsup/test-kit';
import { describe, expect, it } from 'vitest';
import {
  batchSpecs,
  buildNetworks,
  distillationStep,
  methodOf,
  scheduledScalars,
  schedulesOf,
  stateSpecs,
  trainedNames,
} from '../../src/index.js';
import {
  compileForFixture,
  dinoConfig,
  expectParameters,
  type Hyper,
  lengthOf,
  type RecipeConfig,
  simDinoConfig,
  stepArrays,
} from './trajectory.js';

const ENGINES: Record<string, () => Promise<Engine>> = {
  'tfjs cpu': async () => tfjsEngine({ backend: 'cpu' }),
  onnxruntime: async () => onnxruntimeEngine(),
};

/** Name of a part of the loss in the log, and in the fixtures. */
const PARTS = [
  ['loss', 'loss'],
  ['compression', 'comp'],
  ['expansion', 'expa'],
] as const;

interface Recipe {
  readonly folders: readonly string[];
  readonly config: (h: Hyper) => RecipeConfig;
}

const RECIPES: Record<string, Recipe> = {
  simdino: { folders: ['ssl/trajectory-simdino', 'ssl/trajectory-world-simdino'], config: simDinoConfig },
  dino: { folders: ['ssl/trajectory-dino', 'ssl/trajectory-world-dino'], config: dinoConfig },
};

interface RecordedStep {
  readonly lr: number;
  readonly momentum: number;
  readonly wd: number;
  readonly teacher_temp?: number;
  readonly grad_norms: Record<string, number>;
}

async function run(fixture: FixtureCase, config: RecipeConfig, engine: Engine): Promise<void> {
  const h = fixture.json['hyper'] as Hyper;
  const networks = buildNetworks(config);
  const method = methodOf(config);
  const options = { config, networks, method };
  const dropped = dropPathRates(networks.backbone.config).flatMap((rate, i) => (rate > 0 ? [`blocks.${i}`] : []));
  const state = stateSpecs(options);
  const { compiled, specs } = await compileForFixture(
    engine,
    distillationStep(options),
    state,
    batchSpecs(options, dropped),
  );
  const start: HostArrays = {};
  for (const [name, { shape }] of Object.entries(state)) {
    const parameter = /^(?:student|teacher)\.(.*)$/.exec(name)?.[1];
    start[name] =
      parameter === undefined
        ? new Float32Array(sizeOf(shape))
        : (fixture.tensor(`init/${parameter}`).data as Float32Array);
  }
  await compiled.load(start);
  const length = lengthOf(h);
  const schedules = schedulesOf(config, length);
  const rel = fixture.tolerance('scalar');
  const steps = fixture.json['steps'] as RecordedStep[];
  for (const [i, step] of steps.entries()) {
    expect(schedules.learningRate(i)).toBeCloseTo(step.lr, 12);
    expect(schedules.weightDecay(i)).toBeCloseTo(step.wd, 12);
    expect(schedules.teacherMomentum(i)).toBeCloseTo(step.momentum, 12);
    const scalars = scheduledScalars(i, config, schedules, length, networks.groups, method);
    if (step.teacher_temp !== undefined) expect(scalars['teacherTemperature'][0]).toBeCloseTo(step.teacher_temp, 6);
    const metrics = await compiled.run({ ...stepArrays(fixture, h, i, specs), ...scalars });
    for (const [ours, theirs] of PARTS) {
      if (metrics[ours] === undefined) continue;
      expect([metrics[ours][0]], `step ${i} ${ours}`).toBeAllclose([fixture.scalar(`step${i}/${theirs}`)], {
        maxRel: rel,
      });
    }
    // Norms drift relative to the largest of the step (the fixture's note).
    const largest = Math.max(...Object.values(step.grad_norms));
    const norms = trainedNames(networks).map((name) => step.grad_norms[name] / largest);
    expect(
      Array.from(metrics['gradientNorms'], (n) => n / largest),
      `step ${i} gradient norms`,
    ).toBeAllclose(norms, { atol: 5e-4 });
  }
  const last = await compiled.read(['student.', 'teacher.']);
  expectParameters(fixture, 'final_student', last, 'student.');
  expectParameters(fixture, 'final_teacher', last, 'teacher.');
  if ('final_center' in fixture.tensors()) {
    const center = await compiled.read(['center.']);
    expect(center['center.cls']).toBeAllclose(fixture.tensor('final_center').data as Float32Array, {
      maxRel: fixture.tolerance('final_center'),
    });
  }
  await compiled.dispose();
  await compiled.store.dispose();
  await engine.dispose();
}

describe.each(Object.entries(ENGINES))('trajectories on %s', (_, engine) => {
  for (const { folders, config } of Object.values(RECIPES)) {
    for (const fixture of folders.flatMap((folder) => fixtureCases(folder))) {
      it(`${fixture.name}`, async () => run(fixture, config(fixture.json['hyper'] as Hyper), await engine()));
    }
  }
});
