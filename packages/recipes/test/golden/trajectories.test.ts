import type { Engine } from '@selfsup/compile';
import { type HostArrays, sizeOf, type Specs } from '@selfsup/core';
import type { DinoSchedules } from '@selfsup/optim';
import { fixtureCases, type FixtureCase } from '@selfsup/test-kit';
import { unchunked } from '@selfsup/test-kit/golden-case';
import { describe, expect, it } from 'vitest';
import {
  type FirstGenerationConfig,
  maskedSchedules,
  recipeOf,
  type RecipeConfig,
  type RunLength,
  schedulesOf,
  type SecondGenerationConfig,
} from '../../src/index.js';
import { ENGINES } from '../engines.js';
import { dinov2Config, maskedStepArrays, simdinov2Config } from './masked-trajectory.js';
import {
  compileForFixture,
  dinoConfig,
  expectParameters,
  type Hyper,
  lengthOf,
  parametersOf,
  simDinoConfig,
  stepArrays,
} from './trajectory.js';

/** Reads a fixture of one recipe. */
interface Reader<C extends RecipeConfig> {
  readonly recipe: string;
  readonly config: (fixture: FixtureCase) => C;
  readonly length: (fixture: FixtureCase, config: C) => RunLength;
  readonly schedules: (config: C, length: RunLength) => DinoSchedules;
  readonly arrays: (fixture: FixtureCase, config: C, step: number, specs: Specs) => HostArrays;
  /** Values of the parts of the loss by our names, those that the fixture has. */
  readonly parts: (fixture: FixtureCase, config: C, step: number) => Record<string, number>;
}

const hyper = <T>(fixture: FixtureCase): T => fixture.json['hyper'] as T;

const first = (
  recipe: string,
  configOf: (h: Hyper) => FirstGenerationConfig,
  parts: Record<string, string>,
): Reader<FirstGenerationConfig> => ({
  recipe,
  config: (fixture) => configOf(hyper(fixture)),
  length: (fixture) => lengthOf(hyper(fixture)),
  schedules: schedulesOf,
  arrays: (fixture, _, step, specs) => stepArrays(fixture, hyper(fixture), step, specs),
  parts: (fixture, _, step) =>
    Object.fromEntries(Object.entries(parts).map(([ours, name]) => [ours, fixture.scalar(`step${step}/${name}`)])),
});

interface Logged {
  readonly parts: Readonly<Record<string, number>>;
}

/** Parts as the authors log them: of the one process, or the mean of all. They leave out what has no weight or no crops. */
function loggedParts(fixture: FixtureCase, step: number): Record<string, number> {
  const record = (fixture.json['steps'] as (Logged & { readonly per_rank?: readonly Logged[] })[])[step];
  const ranks = record.per_rank ?? [record];
  return Object.fromEntries(
    Object.keys(ranks[0].parts).map((name) => [
      name,
      ranks.reduce((sum, { parts }) => sum + parts[name], 0) / ranks.length,
    ]),
  );
}

/** Our name of a part, and what the logged value is multiplied with to be ours. */
type PartNames<C> = Readonly<Record<string, readonly [ours: string, factor: (config: C) => number]>>;

const asLogged = (): number => 1;

const second = <C extends SecondGenerationConfig>(
  recipe: string,
  configOf: (h: never) => C,
  names: PartNames<C>,
): Reader<C> => ({
  recipe,
  config: (fixture) => configOf(hyper<never>(fixture)),
  length: (_, { length }) => ({
    totalSteps: length.steps as number,
    warmupSteps: length.warmupSteps as number,
    stepsPerEpoch: length.stepsPerEpoch as number,
  }),
  schedules: maskedSchedules,
  arrays: (fixture, config, step) => maskedStepArrays(fixture, config, step),
  parts: (fixture, config, step) => {
    const compared = Object.entries(loggedParts(fixture, step)).filter(([name]) => name in names);
    expect(compared.length, 'parts of the loss that the fixture has').toBeGreaterThan(0);
    return Object.fromEntries(
      compared.map(([name, value]) => [names[name][0], names[name][1](config) * value] as const),
    );
  },
});

const READERS = [
  first('simdino', simDinoConfig, { compression: 'comp', expansion: 'expa' }),
  first('dino', dinoConfig, {}),
  second('dinov2', dinov2Config, {
    dino_local_crops_loss: ['clsLocal', asLogged],
    dino_global_crops_loss: ['clsGlobal', asLogged],
    // The authors log both halved, and KoLeo with its weight.
    ibot_loss: ['patch', () => 2],
    koleo_loss: ['koleo', ({ loss }) => 2 / loss.koleoWeight],
  }),
  second('simdinov2', simdinov2Config, {
    dino_mcr_comp_loss: ['compression', asLogged],
    dino_mcr_expa_loss: ['expansion', asLogged],
    ibot_comp_loss: ['patch', asLogged],
  }),
] as readonly Reader<RecipeConfig>[];

interface RecordedStep {
  readonly lr: number;
  readonly momentum: number;
  readonly wd: number;
  readonly teacher_temp?: number;
  readonly grad_norms: Record<string, number>;
  /** Second generation: what is clipped together. */
  readonly submodule_norms?: Record<string, number>;
}

async function run(fixture: FixtureCase, reader: Reader<RecipeConfig>, engine: Engine): Promise<void> {
  const config = reader.config(fixture);
  const recipe = recipeOf(config);
  const { compiled, specs } = await compileForFixture(engine, recipe.step, recipe.state, recipe.batch);
  const init = parametersOf(fixture, 'init');
  const start: HostArrays = {};
  for (const [name, { shape }] of Object.entries(recipe.state)) {
    const parameter = /^(?:student|teacher)\.(.*)$/.exec(name)?.[1];
    start[name] = parameter === undefined ? new Float32Array(sizeOf(shape)) : (init[parameter].data as Float32Array);
  }
  await compiled.load(start);
  const length = reader.length(fixture, config);
  const schedules = reader.schedules(config, length);
  const schedule = recipe.schedule(length);
  const rel = fixture.tolerance('scalar');
  const steps = fixture.json['steps'] as RecordedStep[];
  for (const [i, step] of steps.entries()) {
    expect(schedules.learningRate(i)).toBeCloseTo(step.lr, 12);
    expect(schedules.weightDecay(i)).toBeCloseTo(step.wd, 12);
    expect(schedules.teacherMomentum(i)).toBeCloseTo(step.momentum, 12);
    const scalars = schedule.scalars(i);
    if (step.teacher_temp !== undefined && 'teacherTemperature' in scalars)
      expect(scalars['teacherTemperature'][0]).toBeCloseTo(step.teacher_temp, 6);
    const metrics = await compiled.run({ ...reader.arrays(fixture, config, i, specs), ...scalars });
    const wanted = { loss: fixture.scalar(`step${i}/loss`), ...reader.parts(fixture, config, i) };
    for (const [name, value] of Object.entries(wanted))
      expect([metrics[name][0]], `step ${i} ${name}`).toBeAllclose([value], { maxRel: rel });
    // Norms drift relative to the largest of the step (the fixture's note).
    const recorded = step.submodule_norms ?? unchunked(step.grad_norms);
    const largest = Math.max(...Object.values(recorded));
    expect(
      Array.from(metrics['gradientNorms'], (n) => n / largest),
      `step ${i} gradient norms`,
    ).toBeAllclose(
      recipe.gradientNames.map((name) => recorded[name] / largest),
      { atol: 5e-4 },
    );
  }
  const last = await compiled.read(['student.', 'teacher.']);
  expectParameters(fixture, 'final_student', last, 'student.');
  expectParameters(fixture, 'final_teacher', last, 'teacher.');
  const centers = Object.keys(recipe.state).filter((name) => name.startsWith('center.'));
  const names: Record<string, string[]> = {
    'center.cls': ['final_center', 'final_dino_center'],
    'center.patch': ['final_ibot_center'],
  };
  for (const name of centers) {
    const center = await compiled.read([name]);
    for (const stored of names[name].filter((n) => n in fixture.tensors())) {
      expect(center[name]).toBeAllclose(fixture.tensor(stored).data as Float32Array, {
        maxRel: fixture.tolerance(stored),
      });
    }
  }
  await compiled.dispose();
  await compiled.store.dispose();
  await engine.dispose();
}

describe.each(Object.entries(ENGINES))('trajectories on %s', (_, engine) => {
  for (const reader of READERS) {
    const folders = [`ssl/trajectory-${reader.recipe}`, `ssl/trajectory-world-${reader.recipe}`];
    for (const fixture of folders.flatMap((folder) => fixtureCases(folder))) {
      it(`${fixture.name}`, async () => run(fixture, reader, await engine()));
    }
  }
});
