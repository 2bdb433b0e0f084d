import { MULTI_CROP_PRESETS } from '@selfsup/augment-multicrop';
import { type HostArrays, pickNamed } from '@selfsup/core';
import type { FixtureCase, FixtureTensor } from '@selfsup/test-kit';
import {
  DINOV2_PRESETS,
  type DinoV2Config,
  type HeadConfig,
  type LearningRateRule,
  maskArrays,
  type MaskedConfig,
  type OptimizerConfig,
  type SecondGenerationConfig,
  SIMDINOV2_PRESETS,
  type SimDinoV2Config,
} from '../../src/index.js';
import { adamWOf, batchOf, cropsOf, type Hyper, jointCrops, worldBatch } from './trajectory.js';

/** Hyper-parameters of the second generation: sizes, and the authors' own configuration. */
export interface MaskedHyper {
  readonly method?: string;
  readonly drop_path_uniform?: boolean;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly cfg: Record<string, any>;
}

const sizes = (h: MaskedHyper): Hyper => h as unknown as Hyper;

const headOf = (cfg: MaskedHyper['cfg']): HeadConfig => ({
  layers: cfg['head_nlayers'],
  hiddenWidth: cfg['head_hidden_dim'],
  width: cfg['head_bottleneck_dim'],
});

/** The authors' names of the rules. */
const RULES: Readonly<Record<string, LearningRateRule>> = {
  sqrt_wrt_1024: 'sqrt-per-1024',
  linear_wrt_1024: 'linear-per-1024',
  linear_wrt_256: 'linear-per-256',
};

/** AdamW's settings: DINOv2 has its moments' rates by name, SimDINOv2 as a pair. */
function momentsOf(h: MaskedHyper, { adamw_beta1, adamw_beta2, kwargs }: MaskedHyper['cfg']): Partial<OptimizerConfig> {
  const [beta1, beta2] = kwargs?.betas ?? [adamw_beta1, adamw_beta2];
  return { ...adamWOf(h), ...(beta1 === undefined ? {} : { beta1, beta2 }) };
}

/** Settings of a whole run, for fixtures that hold one step. */
const RUN = {
  optim: {
    epochs: 10,
    warmup_epochs: 0,
    freeze_last_layer_epochs: 0,
    base_lr: 1e-3,
    min_lr: 0,
    weight_decay: 0,
    weight_decay_end: 0,
    clip_grad: 0,
    scaling_rule: 'sqrt_wrt_1024',
    layerwise_decay: 1,
    patch_embed_lr_mult: 1,
  },
  teacher: { momentum_teacher: 0.9, final_momentum_teacher: 1 },
};

/** The same for one step alone, of which nothing is clipped or frozen. */
export const oneStep = (h: MaskedHyper): MaskedHyper => ({ ...h, cfg: { ...h.cfg, ...RUN } });

function sharedConfig<T extends SecondGenerationConfig>(
  base: T,
  h: MaskedHyper,
  linearRule: 'linear' | 'linear-float32',
): T & MaskedConfig {
  const s = sizes(h);
  const { student, train, optim, teacher, ibot } = { ...RUN, ...h.cfg } as MaskedHyper['cfg'];
  const perEpoch: number = train?.OFFICIAL_EPOCH_LENGTH ?? 10;
  return {
    ...base,
    arch: 'vit_tiny',
    backbone: {
      ...base.backbone,
      imageSize: s['img'],
      patchSize: s['patch'],
      width: s['embed'],
      depth: s['depth'],
      heads: s['heads'],
      mlpRatio: s['mlp'],
      ffn: student.ffn_layer === 'mlp' ? 'mlp' : 'swiglu',
      layerScale: student.layerscale || undefined,
      registers: student.num_register_tokens,
      qkvBias: student.qkv_bias,
      interpolation: { offset: student.interpolate_offset, antialias: student.interpolate_antialias },
      dropPathRate: s['drop_path'],
      dropPathRule: (h.drop_path_uniform ?? student.drop_path_uniform) ? 'uniform' : linearRule,
    },
    crops: cropsOf(MULTI_CROP_PRESETS.dinov2, s),
    masks: { probability: ibot.mask_sample_probability, ratio: ibot.mask_ratio_min_max },
    teacher: { policy: 'ema', momentum: teacher.momentum_teacher, momentumEnd: teacher.final_momentum_teacher },
    optimizer: {
      ...base.optimizer,
      learningRate: optim.base_lr,
      rule: pickNamed('recipes.test', 'a rule', optim.scaling_rule, RULES),
      minLearningRate: optim.min_lr,
      weightDecay: optim.weight_decay,
      weightDecayEnd: optim.weight_decay_end,
      clipNorm: optim.clip_grad,
      layerDecay: optim.layerwise_decay,
      patchEmbedMultiplier: optim.patch_embed_lr_mult,
      ...momentsOf(h, optim),
    },
    length: {
      stepsPerEpoch: perEpoch,
      steps: optim.epochs * perEpoch,
      warmupSteps: optim.warmup_epochs * perEpoch,
    },
    batchSize: worldBatch(s),
    groups: s['world_size'] ?? 1,
  };
}

export function dinov2Config(h: MaskedHyper): DinoV2Config {
  const { dino, ibot, train } = h.cfg;
  const { optim, teacher } = { ...RUN, ...h.cfg } as MaskedHyper['cfg'];
  const base = DINOV2_PRESETS['imagenet-vitl16-short'].config as DinoV2Config;
  const temperature = sizes(h)['teacher_temp'];
  return {
    ...sharedConfig(base, h, 'linear'),
    head: {
      ...headOf(dino),
      prototypes: dino.head_n_prototypes,
      prototypeNorms: 'trainable',
      freezeEpochs: optim.freeze_last_layer_epochs,
    },
    ...(ibot.separate_head
      ? { patchHead: { ...headOf(ibot), prototypes: ibot.head_n_prototypes, prototypeNorms: 'trainable' } }
      : {}),
    loss: {
      ...base.loss,
      teacherTemperature: {
        start: temperature ?? teacher.warmup_teacher_temp,
        end: temperature ?? teacher.teacher_temp,
        warmupEpochs: teacher.warmup_teacher_temp_epochs ?? 0,
      },
      targets: train.centering === 'centering' ? 'centering' : 'sinkhorn-knopp',
      clsWeight: dino.loss_weight,
      patchWeight: ibot.loss_weight,
      koleoWeight: dino.koleo_loss_weight,
    },
  };
}

export function simdinov2Config(h: MaskedHyper): SimDinoV2Config {
  const { dino, ibot } = h.cfg;
  const base = SIMDINOV2_PRESETS['imagenet-vitl16'].config as SimDinoV2Config;
  const { mcr } = dino;
  return {
    ...sharedConfig(base, h, 'linear-float32'),
    head: headOf(dino),
    ...(ibot.separate_head ? { patchHead: headOf(ibot) } : {}),
    loss: {
      codingRateEps: mcr.eps,
      compressionWeight: mcr.coeff,
      expansionFeatures: mcr.expa_type === 0 ? 'student' : 'mean-with-teacher',
      covariance: mcr.reduce_cov === 1 ? 'all-groups' : 'per-group',
      gamma: 'code',
      clsWeight: dino.loss_weight,
      patchWeight: ibot.loss_weight,
    },
  };
}

/** Rank-first rows of a subset [N, 2, k] as rows of the joint batch [2, N * k]. */
export function jointSubset(tensor: FixtureTensor, groupSize: number): Int32Array {
  const [ranks, branches, k] = tensor.shape;
  const out = new Int32Array(ranks * branches * k);
  for (let rank = 0; rank < ranks; rank++) {
    for (let branch = 0; branch < branches; branch++) {
      for (let i = 0; i < k; i++) {
        const row = Number(tensor.data[(rank * branches + branch) * k + i]);
        const joint = Math.floor(row / groupSize) * ranks * groupSize + rank * groupSize + (row % groupSize);
        out[branch * ranks * k + rank * k + i] = joint;
      }
    }
  }
  return out;
}

/** Rank-first masks [N, 2, B, patches] as [2, N * B, patches]; others are in that order already. */
function jointMasks(tensor: FixtureTensor): Uint8Array {
  const data = Uint8Array.from(tensor.data, Number);
  if (tensor.shape.length < 4) return data;
  const [ranks, views, batch, patches] = tensor.shape;
  const out = new Uint8Array(data.length);
  for (let rank = 0; rank < ranks; rank++) {
    for (let view = 0; view < views; view++) {
      const from = (rank * views + view) * batch * patches;
      out.set(data.subarray(from, from + batch * patches), (view * ranks + rank) * batch * patches);
    }
  }
  return out;
}

/** Names of a fixture's tensors for a step. */
interface TensorNames {
  readonly global: string;
  readonly local: string;
  readonly masks: string;
  readonly drop: string;
}

/** Crops, masks and subsets of a step as the compiled step takes them. */
export function maskedArrays(fixture: FixtureCase, config: SecondGenerationConfig, names: TensorNames): HostArrays {
  const { batchSize, groups, crops } = config;
  const views = (name: string, count: number): Float32Array => {
    const tensor = fixture.tensor(name);
    const shape = tensor.shape.length === 4 ? [count, batchSize, ...tensor.shape.slice(1)] : tensor.shape;
    return jointCrops({ ...tensor, shape });
  };
  const arrays: HostArrays = {
    'crops.global': views(names.global, 2),
    ...(crops.local.count > 0 ? { 'crops.local': views(names.local, crops.local.count) } : {}),
    ...maskArrays(config, jointMasks(fixture.tensor(names.masks)), batchSize, groups),
  };
  for (const [name, tensor] of Object.entries(fixture.tensors())) {
    if (!name.startsWith(names.drop)) continue;
    const match = /(global|local)\/block(\d+)$/.exec(name);
    if (match !== null) arrays[`subset.${match[1]}.blocks.${match[2]}`] = jointSubset(tensor, batchSize / groups);
  }
  return arrays;
}

/** Those of a step of a trajectory. */
export function maskedStepArrays(fixture: FixtureCase, config: SecondGenerationConfig, step: number): HostArrays {
  const batch = batchOf(fixture, step);
  const of = (name: string): string => `step${step}/${name}`;
  return maskedArrays(
    fixture,
    config,
    batch === undefined
      ? {
          global: of('collated_global_crops'),
          local: of('collated_local_crops'),
          masks: of('collated_masks'),
          drop: of('drop/'),
        }
      : {
          global: `batch${batch}/global`,
          local: `batch${batch}/local`,
          masks: of('masks'),
          drop: of('drop/'),
        },
  );
}
