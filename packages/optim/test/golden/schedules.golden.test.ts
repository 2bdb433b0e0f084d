import { fixtureCases } from '@selfsup/test-kit';
import { describe, expect, it } from 'vitest';
import {
  cosineSchedule,
  type Dinov2ScheduleOptions,
  dinov2Schedules,
  linearScaledLearningRate,
  linearSchedule,
  type MovingSetting,
  perEpoch,
  type Schedule,
  simdinov2Schedules,
  sqrtScaledLearningRate,
  teacherTemperatureSchedule,
} from '../../src/index.js';

type Entry = Record<string, number> & { function: string; overrides?: Config };
type Config = Record<string, Record<string, number>>;

/** The authors' rules of scaling learning rates with the batch, both relative to 1024. */
const scalingRule = (name: unknown): typeof sqrtScaledLearningRate =>
  String(name).includes('linear') ? linearScaledLearningRate : sqrtScaledLearningRate;

/** The authors' default configurations (spec 6.3), as far as schedules read them. */
const DINOV2_DEFAULTS: Config = {
  train: { OFFICIAL_EPOCH_LENGTH: 1250, batch_size_per_gpu: 64 },
  optim: {
    base_lr: 0.004,
    min_lr: 1e-6,
    epochs: 100,
    warmup_epochs: 10,
    weight_decay: 0.04,
    weight_decay_end: 0.4,
    freeze_last_layer_epochs: 1,
    clip_grad: 3,
  },
  teacher: {
    momentum_teacher: 0.992,
    final_momentum_teacher: 1,
    warmup_teacher_temp: 0.04,
    teacher_temp: 0.07,
    warmup_teacher_temp_epochs: 30,
  },
};
const SIMDINOV2_DEFAULTS: Config = {
  ...DINOV2_DEFAULTS,
  optim: { ...DINOV2_DEFAULTS['optim'], peak_epochs: 0, clip_grad_end: -1 },
  teacher: { ...DINOV2_DEFAULTS['teacher'], momentum_teacher: 0.9 },
  'dino.mcr': { eps: 0.05, eps_end: -1, coeff: 1, coeff_end: -1, expa_end_epoch: -1 },
  ibot: { loss_weight: 1, loss_weight_end: -1, loss_weight_warmup_epochs: 0, loss_weight_freeze_epochs: 0 },
};

function configured(defaults: Config, overrides: Record<string, Record<string, unknown>> = {}): Config {
  const config = structuredClone(defaults);
  for (const [section, values] of Object.entries(overrides)) {
    for (const [key, value] of Object.entries(values)) {
      if (typeof value === 'object' && value !== null) {
        Object.assign((config[`${section}.${key}`] ??= {}), value);
      } else {
        Object.assign((config[section] ??= {}), { [key]: value });
      }
    }
  }
  return config;
}

function dinov2Options({ train, optim, teacher }: Config): Dinov2ScheduleOptions {
  const epoch = train['OFFICIAL_EPOCH_LENGTH'];
  return {
    totalSteps: optim['epochs'] * epoch,
    warmupSteps: optim['warmup_epochs'] * epoch,
    learningRate: scalingRule(optim['scaling_rule'])(optim['base_lr'], train['batch_size_per_gpu'], 1024),
    finalLearningRate: optim['min_lr'],
    weightDecay: { start: optim['weight_decay'], end: optim['weight_decay_end'] },
    teacherMomentum: { start: teacher['momentum_teacher'], end: teacher['final_momentum_teacher'] },
    teacherTemperature: {
      start: teacher['warmup_teacher_temp'],
      end: teacher['teacher_temp'],
      warmupSteps: teacher['warmup_teacher_temp_epochs'] * epoch,
    },
    freezeLastLayerSteps: optim['freeze_last_layer_epochs'] * epoch,
  };
}

function simdinov2Built(config: Config): Record<string, Schedule> {
  const { optim, ibot, 'dino.mcr': mcr, train } = config;
  const epoch = train['OFFICIAL_EPOCH_LENGTH'];
  const moving = (start: number, end: number, epochs = -1): MovingSetting => ({
    start,
    ...(end > 0 ? { end } : {}),
    ...(epochs > 0 ? { totalSteps: epochs * epoch } : {}),
  });
  const built = simdinov2Schedules({
    ...dinov2Options(config),
    peakSteps: optim['peak_epochs'] * epoch,
    alignmentWeight: moving(mcr['coeff'], mcr['coeff_end'], mcr['expa_end_epoch']),
    codingRateEps: moving(mcr['eps'], mcr['eps_end'], mcr['expa_end_epoch']),
    patchLossWeight: {
      ...moving(ibot['loss_weight'], ibot['loss_weight_end']),
      warmupSteps: ibot['loss_weight_warmup_epochs'] * epoch,
      freezeSteps: ibot['loss_weight_freeze_epochs'] * epoch,
    },
    clipNorm: moving(optim['clip_grad'], optim['clip_grad_end']),
  });
  return {
    lr: built.learningRate,
    wd: built.weightDecay,
    momentum: built.teacherMomentum,
    teacher_temp: built.teacherTemperature,
    last_layer_lr: built.lastLayerLearningRate,
    mcr_coeff: built.alignmentWeight,
    mcr_eps: built.codingRateEps,
    ibot_weight: built.patchLossWeight,
    clip_grad: built.clipNorm,
  };
}

function dinov2Built(config: Config): Record<string, Schedule> {
  const built = dinov2Schedules(dinov2Options(config));
  return {
    lr: built.learningRate,
    wd: built.weightDecay,
    momentum: built.teacherMomentum,
    teacher_temp: built.teacherTemperature,
    last_layer_lr: built.lastLayerLearningRate,
  };
}

function v2Options(entry: Entry): Parameters<typeof cosineSchedule>[0] {
  return {
    base: entry['base_value'],
    final: entry['final_value'],
    totalSteps: entry['total_iters'],
    warmupSteps: entry['warmup_iters'] ?? 0,
    warmupStart: entry['start_warmup_value'] ?? 0,
    freezeSteps: entry['freeze_iters'] ?? 0,
    peakSteps: entry['peak_iters'] ?? 0,
    zeroedSteps: entry['freeze_cut_iters'] ?? 0,
    ramp: entry.function.startsWith('simdinov2') ? 'exclusive' : 'inclusive',
  };
}

/** Our schedule for one of the authors' functions and its arguments. */
function scheduleOf(name: string, entry: Entry): Schedule {
  const key = name.split('/').at(-1) ?? '';
  if (entry.function.startsWith('dino cosine_scheduler')) {
    const epoch = entry['niter_per_ep'];
    return cosineSchedule({
      base: entry['base_value'],
      final: entry['final_value'],
      totalSteps: entry['epochs'] * epoch,
      warmupSteps: (entry['warmup_epochs'] ?? 0) * epoch,
      warmupStart: entry['start_warmup_value'] ?? 0,
    });
  }
  if (entry.function.startsWith('DINOLoss.teacher_temp_schedule')) {
    return teacherTemperatureSchedule({
      start: entry['warmup_teacher_temp'],
      end: entry['teacher_temp'],
      warmupSteps: entry['warmup_teacher_temp_epochs'],
    });
  }
  if (/^(sim)?dinov2 CosineScheduler/.test(entry.function)) return cosineSchedule(v2Options(entry));
  if (/^(sim)?dinov2 LinearScheduler/.test(entry.function)) return linearSchedule(v2Options(entry));
  const built: Record<string, Schedule> = entry.function.startsWith('simdinov2 build_schedulers')
    ? simdinov2Built(configured(SIMDINOV2_DEFAULTS, entry.overrides))
    : dinov2Built(configured(DINOV2_DEFAULTS, entry.overrides));
  const schedule: Schedule | undefined = built[key];
  if (schedule === undefined) throw new Error(`no schedule of ours for ${name}: ${entry.function}`);
  return schedule;
}

describe.each(fixtureCases('ssl/schedules'))('$name', (fixture) => {
  const schedules = fixture.json['schedules'] as Record<string, Entry>;

  it('names a schedule for every tensor', () => {
    expect(Object.keys(schedules).sort()).toEqual(Object.keys(fixture.tensors()).sort());
  });

  it.each(Object.keys(schedules))('%s', (name) => {
    const expected = fixture.tensor(name).data;
    const schedule = scheduleOf(name, schedules[name]);
    // Both sides are float64; only the order of operations differs.
    expect(Array.from(expected, (_, step) => schedule(step))).toBeAllclose(expected, { rtol: 1e-12, atol: 1e-18 });
  });

  it('scales learning rates as the authors do', () => {
    const rules = fixture.json['lr_scaling_rules'] as Record<string, unknown>[];
    expect(rules.length).toBeGreaterThan(0);
    for (const rule of rules) {
      const batchSize = (rule['batch_size_per_gpu'] as number) * (rule['world_size'] as number);
      for (const [key, value] of Object.entries(rule)) {
        if (key === 'v1') {
          const { base, peak } = value as { base: number; peak: number };
          expect(linearScaledLearningRate(base, batchSize)).toBeAllclose(peak, { rtol: 1e-14, atol: 0 });
        } else if (key.includes(':')) {
          const base = DINOV2_DEFAULTS['optim']['base_lr'];
          expect(scalingRule(key)(base, batchSize, 1024), key).toBeAllclose(value as number, { rtol: 1e-14, atol: 0 });
        }
      }
    }
  });
});

describe('perEpoch', () => {
  it('moves once per epoch', () => {
    const schedule = perEpoch((epoch) => epoch, 3);
    expect([0, 1, 2, 3, 5, 6].map(schedule)).toEqual([0, 0, 0, 1, 1, 2]);
  });
});
