import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadCheckpoint, openRun, writeSafetensors } from '@selfsup/checkpoint';
import { SslError, type HostArrays, type HostTensor } from '@selfsup/core';
import { onnxruntimeEngine } from '@selfsup/engine-onnxruntime';
import '@selfsup/test-kit'; // matchers
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type DistillConfig,
  loadBackbone,
  type Overrides,
  initialState,
  prepareTraining,
  recipeOf,
  resolveConfig,
  syntheticBatch,
  train,
  withFrozenTeacher,
} from '../../src/index.js';
import { ENGINES } from '../engines.js';
import { noisePictures } from '../support/pictures.js';

const GEOMETRY = { crops: { global: { size: 16 } }, backbone: { imageSize: 16 } };

/** A run of a self-distillation recipe with an EMA teacher of its own weights. */
async function teacherRun(directory: string, recipe: string, seed: number, changes: Overrides = {}): Promise<string> {
  const { config } = resolveConfig({
    recipe,
    preset: 'cifar-tiny',
    overrides: [{ ...GEOMETRY, backbone: { imageSize: 16, width: 12, heads: 2, depth: 2 } }, changes],
  });
  const weights = (network: string, from: number): [string, HostTensor][] =>
    Object.entries(recipeOf(config).networks.init(from)).map(([name, tensor]) => [`${network}.${name}`, tensor]);
  const run = await openRun(directory, { config: { ...config } });
  await run.save({
    step: 1,
    seed: 0,
    state: Object.fromEntries([...weights('student', seed + 1), ...weights('teacher', seed)]),
  });
  await run.close();
  return directory;
}

function distillConfig(path: string, changes: Overrides = {}): DistillConfig {
  return resolveConfig({
    recipe: 'distill',
    preset: 'cifar-tiny',
    overrides: [
      {
        ...GEOMETRY,
        backbone: { imageSize: 16, width: 8, heads: 2, depth: 1 },
        batchSize: 6,
        log: { everySteps: 1 },
        probe: { everySteps: 0 },
        length: { steps: 30, warmupSteps: 2 },
        teacher: { path },
      },
      changes,
    ],
  }).config as DistillConfig;
}

const failure = async (promise: Promise<unknown>): Promise<SslError> => {
  const error: unknown = await promise.catch((e: unknown) => e);
  if (SslError.is(error)) return error;
  throw new Error('no SslError was thrown', { cause: error });
};

let directory: string;
let first: string;
let second: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'distill-'));
  first = await teacherRun(join(directory, 'first'), 'simdino', 10);
  second = await teacherRun(join(directory, 'second'), 'simdinov2', 20, { masks: { probability: 0 } });
});
afterAll(() => rm(directory, { recursive: true }));

describe('a frozen teacher', () => {
  it.each(['first', 'second'])('is the EMA teacher of a run of the %s generation', async (run) => {
    const { config, frozen } = await withFrozenTeacher(distillConfig(join(directory, run)));
    const { weights, backbone } = await loadBackbone(join(directory, run), { from: 'teacher' });
    expect(config.teacher.backbone).toEqual(backbone.config);
    expect(Object.keys(frozen).sort()).toEqual(
      Object.keys(weights)
        .map((name) => `frozen.backbone.${name}`)
        .sort(),
    );
    expect(frozen['frozen.backbone.cls_token']).toEqual(weights['cls_token'].data);
  });

  it('is known by its weights, wherever they are', async () => {
    const { weights } = await loadBackbone(second);
    const file = join(directory, 'exported.safetensors');
    await writeSafetensors(file, weights);
    const [run, exported] = await Promise.all([second, file].map((path) => withFrozenTeacher(distillConfig(path))));
    expect(exported.config.teacher.sha256).toBe(run.config.teacher.sha256);
    const moved = { ...run.config, teacher: { ...run.config.teacher, path: file } };
    expect((await withFrozenTeacher(moved)).config.teacher.path).toBe(file);
    const other = { ...run.config, teacher: { ...run.config.teacher, path: first } };
    expect((await failure(withFrozenTeacher(other))).code).toBe('CHECKPOINT_MISMATCH');
  });

  it.each([
    ['none', () => distillConfig(''), /--teacher/],
    ['one that is not there', () => distillConfig('/no/such/run'), /\/no\/such\/run/],
    [
      'other patches',
      () => distillConfig(first, { backbone: { patchSize: 4 } }),
      /patches of 4 pixels.*backbone.patchSize=8/,
    ],
    [
      'crops that are no multiples of its patches',
      () =>
        distillConfig(first, {
          backbone: { patchSize: 4, imageSize: 12 },
          crops: { global: { size: 12 } },
          loss: { patchWeight: 0 },
        }),
      /multiples of the teacher's patches/,
    ],
    ['other channels', () => distillConfig(first, { backbone: { channels: 1 } }), /1 channels/],
  ])('is refused: %s', async (_, config, said) => {
    const error = await failure(withFrozenTeacher(config()));
    expect(error.code).toBe('BAD_OPTION');
    expect(error.message).toMatch(said);
    expect(error.message.split('\n')).toHaveLength(1);
  });

  it('may have other patches where only CLS tokens count', async () => {
    const { config } = await withFrozenTeacher(
      distillConfig(first, { backbone: { patchSize: 4 }, loss: { patchWeight: 0 } }),
    );
    expect(Object.keys(recipeOf(config).networks.specs).some((name) => name.startsWith('head.patch'))).toBe(false);
  });

  it('may be smaller than its student, which is said', async () => {
    const { notes } = await withFrozenTeacher(distillConfig(first, { backbone: { width: 32, depth: 3 } }));
    expect(notes.join()).toMatch(/more parameters/);
    expect((await withFrozenTeacher(distillConfig(first))).notes).toEqual([]);
  });
});

/** Teachers and their students. On XLA, which takes twenty seconds to compile a case, the first of them. */
const STUDENTS = [
  ['second', { backbone: { registers: 2, maskToken: true, layerScale: 0.1 } }],
  ['second', { loss: { patchWeight: 0 } }],
  ['first', { crops: { local: { count: 2, size: 8 } }, backbone: { dropPathRate: 0.3, depth: 2 } }],
] as const;

describe.each(Object.entries(ENGINES))('distillation on %s', (name, makeEngine) => {
  it('has nothing to learn from itself', async () => {
    const { config, frozen } = await withFrozenTeacher(
      distillConfig(first, { backbone: { width: 12, heads: 2, depth: 2 } }),
    );
    const engine = await makeEngine();
    const recipe = recipeOf(config);
    const training = await prepareTraining(recipe, engine);
    const same = Object.entries(frozen).map(([name, data]) => [name.replace('frozen.', 'student.'), data]);
    await training.store.load({ ...initialState(recipe), ...(Object.fromEntries(same) as HostArrays), ...frozen });
    const { loss, clsCosine, patchCosine } = await training.run(syntheticBatch(recipe, 0));
    expect([loss[0], clsCosine[0], patchCosine[0]]).toBeAllclose([0, 1, 1], { atol: 1e-5 });
    await training.dispose();
    await engine.dispose();
  });

  const students = name === 'xla' ? STUDENTS.slice(0, 1) : STUDENTS;
  it.each(students)(
    'is the same in any number of parts (teacher of the %s generation, %j)',
    async (teacher, changes) => {
      const { config: whole, frozen } = await withFrozenTeacher(
        distillConfig(teacher === 'first' ? first : second, changes),
      );
      const engine = await makeEngine();
      const found: { metrics: HostArrays; weights: HostArrays }[] = [];
      for (const accumulate of [1, 2, 6]) {
        const recipe = recipeOf({ ...whole, accumulate });
        const training = await prepareTraining(recipe, engine);
        await training.store.load({ ...initialState(recipe), ...frozen });
        const metrics = await training.run(syntheticBatch(recipe, 5));
        found.push({ metrics, weights: await training.store.read(['adam.m.']) });
        await training.dispose();
      }
      for (const { metrics, weights } of found.slice(1)) {
        for (const [name, values] of Object.entries(found[0].metrics))
          expect(metrics[name], name).toBeAllclose(values as Float32Array, { maxRel: 1e-4, atol: 1e-6 });
        for (const [name, values] of Object.entries(found[0].weights))
          expect(weights[name], name).toBeAllclose(values as Float32Array, { maxRel: 1e-3, atol: 1e-7 });
      }
      await engine.dispose();
    },
  );
});

describe('a distillation run', () => {
  it('learns, saves the student alone, and leaves the teacher as it is', async () => {
    const { config, frozen } = await withFrozenTeacher(distillConfig(second));
    const engine = await onnxruntimeEngine();
    const dataset = await noisePictures(24);
    const run = await openRun(join(directory, 'student'), { config: { ...config } });
    const before = structuredClone(frozen);
    const losses: number[] = [];
    const { state } = await train({
      config,
      dataset,
      engine,
      run,
      keep: [''],
      frozen,
      workers: 0,
      onRecord: ({ loss, parts }) => {
        losses.push(loss);
        expect(loss).toBeCloseTo(2 - parts['clsCosine'] - parts['patchCosine'], 4);
      },
    });
    expect(losses[losses.length - 1]).toBeLessThan(0.7 * losses[0]);
    expect(frozen).toEqual(before);
    expect(Object.keys(state).filter((name) => !/^(?:student|adam)\./.test(name))).toEqual([]);
    const { specs, manifest } = await loadCheckpoint(join(directory, 'student'));
    expect(Object.keys(specs).sort()).toEqual(Object.keys(state).sort());
    expect(manifest?.config['teacher']).toMatchObject({ sha256: config.teacher.sha256, path: config.teacher.path });
    expect((await loadBackbone(join(directory, 'student'))).from).toBe('student');
    await run.close();
    await engine.dispose();
  });
});
