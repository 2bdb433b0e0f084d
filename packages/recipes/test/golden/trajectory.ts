import { compileStep, type CompiledStep, type Engine, type Step } from '@selfsup/compile';
import { type HostArrays, type Specs, sizeOf } from '@selfsup/core';
import type { FixtureCase, FixtureTensor } from '@selfsup/test-kit';
import { below, type NamedNumbers, unchunked, under } from '@selfsup/test-kit/golden-case';
import { expect } from 'vitest';
import { MULTI_CROP_PRESETS, type MultiCropConfig } from '@selfsup/augment-multicrop';
import {
  type DinoConfig,
  FINITE,
  type HeadConfig,
  type OptimizerConfig,
  type RunLength,
  type SelfDistillationConfig,
  SIMDINO_PRESETS,
  type SimDinoConfig,
} from '../../src/index.js';

/** Hyper-parameters as the fixtures spell them. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Hyper = Record<string, any>;

/** Images of a step, all ranks together. */
export const worldBatch = (h: Hyper): number => h['B'] * (h['world_size'] ?? 1);

/** Settings of AdamW that a fixture has in words, e.g. `AdamW betas (0.9,0.999) eps 1e-8`. */
export function adamWOf({ optimizer }: Hyper): Partial<OptimizerConfig> {
  const found = /betas \(([^,]+),([^)]+)\) eps (\S+)/.exec(String(optimizer));
  return found === null ? {} : { beta1: Number(found[1]), beta2: Number(found[2]), epsilon: Number(found[3]) };
}

/** Crops of a fixture's sizes; one without local crops need not say how large they are. */
export const cropsOf = (base: MultiCropConfig, h: Hyper): MultiCropConfig => ({
  ...base,
  global: { ...base.global, size: h['img'] },
  local: { ...base.local, count: h['V'], ...(h['V'] > 0 ? { size: h['local'] } : {}) },
});

/** The parts of a configuration that all v1 fixtures describe in the same words. */
function sharedConfig(h: Hyper): SelfDistillationConfig & { readonly head: HeadConfig } {
  const base = SIMDINO_PRESETS['imagenet-vitb16'].config;
  return {
    ...base,
    arch: 'vit_tiny',
    backbone: {
      imageSize: h['img'],
      patchSize: h['patch'],
      width: h['embed'],
      depth: h['depth'],
      heads: h['heads'],
      mlpRatio: h['mlp'],
      qkvBias: h['qkv_bias'] ?? true,
      dropPathRate: h['drop_path'] ?? 0,
    },
    head: { layers: h['nlayers'], hiddenWidth: h['hidden'], width: h['z'] },
    crops: cropsOf(MULTI_CROP_PRESETS.simdino, h),
    teacher: { policy: 'ema', momentum: h['m'], momentumEnd: 1 },
    optimizer: {
      ...base.optimizer,
      learningRate: h['lr'],
      rule: 'linear-per-256',
      minLearningRate: h['min_lr'],
      weightDecay: h['wd'],
      weightDecayEnd: h['wd_end'],
      clipNorm: h['clip'],
      ...adamWOf(h),
    },
    length: { steps: h['epochs'] * h['nit'], warmupSteps: h['warmup_epochs'] * h['nit'] },
    batchSize: worldBatch(h),
    groups: h['world_size'] ?? 1,
  };
}

export function simDinoConfig(h: Hyper): SimDinoConfig {
  return {
    ...sharedConfig(h),
    recipe: 'simdino',
    loss: {
      codingRateEps: h['eps'],
      compressionWeight: h['coeff'],
      expansionFeatures: h['expa_type'] === 0 ? 'student' : 'mean-with-teacher',
      covariance: h['reduce_cov'] === 1 ? 'all-groups' : 'per-group',
      gamma: 'code',
    },
  };
}

export function dinoConfig(h: Hyper): DinoConfig {
  const shared = sharedConfig(h);
  return {
    ...shared,
    recipe: 'dino',
    head: {
      ...shared.head,
      prototypes: h['K'],
      prototypeNorms: h['norm_last'] ? 'frozen' : 'trainable',
      freezeEpochs: h['freeze'],
    },
    loss: {
      studentTemperature: h['student_temp'],
      teacherTemperature: { start: h['wt'], end: h['tt'], warmupEpochs: h['wte'] },
      centerMomentum: h['center_momentum'],
    },
  };
}

export const lengthOf = (h: Hyper): RunLength => ({
  totalSteps: h['epochs'] * h['nit'],
  warmupSteps: h['warmup_epochs'] * h['nit'],
  stepsPerEpoch: h['nit'],
});

/** [ranks..., crops, B, C, H, W] (ranks may be missing) to joint crop-major NHWC: row = crop * n + rank * B + b. */
export function jointCrops(tensor: FixtureTensor): Float32Array {
  const shape = tensor.shape.length === 5 ? [1, ...tensor.shape] : tensor.shape;
  const [ranks, crops, batch, channels, height, width] = shape;
  const out = new Float32Array(sizeOf(shape));
  const data = tensor.data as Float32Array;
  let from = 0;
  for (let r = 0; r < ranks; r++) {
    for (let c = 0; c < crops; c++) {
      for (let b = 0; b < batch; b++) {
        const row = c * ranks * batch + r * batch + b;
        for (let k = 0; k < channels; k++) {
          for (let i = 0; i < height * width; i++) out[(row * height * width + i) * channels + k] = data[from++];
        }
      }
    }
  }
  return out;
}

/** Rank-first keep masks [N, 2, crops * B] to joint [2, crops * n]. */
export function jointMask(tensor: FixtureTensor, crops: number): Float32Array {
  const [ranks, branches, rows] = tensor.shape;
  const batch = rows / crops;
  const out = new Float32Array(ranks * branches * rows);
  for (let r = 0; r < ranks; r++) {
    for (let branch = 0; branch < branches; branch++) {
      for (let i = 0; i < rows; i++) {
        const row = Math.floor(i / batch) * ranks * batch + r * batch + (i % batch);
        out[branch * ranks * rows + row] = Number(tensor.data[(r * branches + branch) * rows + i]);
      }
    }
  }
  return out;
}

/** Number of the batch a step uses; undefined where every step has crops of its own. */
export function batchOf(fixture: FixtureCase, step: number): number | undefined {
  return (fixture.json['steps'] as { readonly batch?: number }[])[step].batch;
}

/** Crops and masks of a step as the compiled step takes them. */
export function stepArrays(fixture: FixtureCase, h: Hyper, step: number, specs: Specs): HostArrays {
  const number = batchOf(fixture, step);
  const batch = number === undefined ? `step${step}` : `batch${number}`;
  const arrays: HostArrays = { 'crops.global': jointCrops(fixture.tensor(`${batch}/global`)) };
  if (h['V'] > 0) arrays['crops.local'] = jointCrops(fixture.tensor(`${batch}/local`));
  for (const name of Object.keys(specs)) {
    const match = /^keep\.(global|local)\.blocks\.(\d+)$/.exec(name);
    if (match === null) continue;
    const mask = fixture.tensor(`step${step}/drop/${match[1]}/block${match[2]}`);
    arrays[name] = jointMask(mask, match[1] === 'global' ? 2 : h['V']);
  }
  return arrays;
}

/** The batch specs of a training with float crops, as the fixtures have them. */
export function floatCrops(specs: Specs): Specs {
  return Object.fromEntries(
    Object.entries(specs).map(([name, s]) => [name, name.startsWith('crops.') ? { ...s, dtype: 'f32' as const } : s]),
  );
}

export interface Trajectory {
  readonly compiled: CompiledStep;
  readonly specs: Specs;
}

export async function compileForFixture(engine: Engine, step: Step, state: Specs, batch: Specs): Promise<Trajectory> {
  const specs = floatCrops(batch);
  return { compiled: await compileStep(step, { engine, state, batch: specs, commitIf: FINITE }), specs };
}

/** Parameters of a group of a fixture, by the names of a model without chunks. @throws if there are none */
export function parametersOf(fixture: FixtureCase, group: string): NamedNumbers {
  const parameters = unchunked(below(fixture, `${group}/`));
  if (Object.keys(parameters).length === 0) throw new Error(`${fixture.name} has no ${group}`);
  return parameters;
}

/** Rows D..2D-1 of every qkv bias have a zero gradient; float32 noise moves them, so they are left out. */
export function withoutKeyBias(name: string, data: ArrayLike<number>): number[] {
  const all = Array.from(data);
  const third = all.length / 3;
  return name.endsWith('attn.qkv.bias') ? [...all.slice(0, third), ...all.slice(2 * third)] : all;
}

/** Compares the tensors of a fixture's group with all that came out under `outPrefix`. */
export function expectParameters(fixture: FixtureCase, group: string, got: HostArrays, outPrefix: string): void {
  const wanted = parametersOf(fixture, group);
  const found = under(outPrefix, got);
  expect(Object.keys(found).sort()).toEqual(Object.keys(wanted).sort());
  for (const [name, { data }] of Object.entries(wanted)) {
    const have = withoutKeyBias(name, found[name]);
    expect(have, `${group}/${name}`).toBeAllclose(withoutKeyBias(name, data), { maxRel: fixture.tolerance(group) });
  }
}
