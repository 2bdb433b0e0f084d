import { SslError } from '@selfsup/core';
import { describe, expect, it } from 'vitest';
import { RECIPES, recipeOf, resolveConfig, type DinoV2Config, type Overrides } from '../../src/index.js';

const refused = (overrides: Overrides, recipe = 'dinov2', preset = 'cifar-tiny'): SslError => {
  try {
    resolveConfig({ recipe, preset, overrides: [overrides] });
  } catch (error) {
    if (SslError.is(error)) return error;
    throw error;
  }
  throw new Error('nothing was refused');
};

describe('settings of the second generation', () => {
  // Distillation is complete only with a teacher; its own tests bring one.
  const ownTeacher = Object.entries(RECIPES).filter(([recipe]) => recipe !== 'distill');
  it.each(ownTeacher.flatMap(([recipe, { presets }]) => Object.keys(presets).map((p) => [recipe, p])))(
    '%s %s is complete',
    (recipe, preset) => {
      const { config } = resolveConfig({ recipe, preset });
      const { state, batch } = recipeOf(config);
      expect(config.preset).toBe(preset);
      expect(Object.keys(state).length).toBeGreaterThan(0);
      expect(batch['adamw']).toBeDefined();
      expect(JSON.parse(JSON.stringify(config))).toEqual(config);
    },
  );

  it.each([
    [{ masks: { probability: 1.5 } }, 'masks.probability in 0..1'],
    [{ masks: { probability: -0.1 } }, 'masks.probability in 0..1'],
    [{ masks: { ratio: [0.5, 0.1] } }, 'the smaller first'],
    [{ masks: { ratio: [0.1, 1.2] } }, 'two shares in 0..1'],
    [{ masks: { ratio: [0.1] } }, 'two shares in 0..1'],
    [{ loss: { targets: 'sinkhorn' } }, 'centering or sinkhorn-knopp'],
    [{ teacher: { policy: 'none' } }, 'ema or student-stopgrad'],
    [{ patchHead: 5 }, 'patchHead of type object'],
    [{ patchHead: { widht: 64 } }, 'did you mean "patchHead.width"'],
    [{ patchHead: { freezeEpochs: 1 } }, 'a known key under "patchHead"'],
    [{ patchHead: { width: 0 } }, 'patchHead.width as a whole number of at least 1'],
    [{ loss: { koleoWeight: -1 } }, 'loss.koleoWeight as a number of at least 0'],
    [{ loss: { teacherTemperature: { start: 0 } } }, 'loss.teacherTemperature.start as a number above 0'],
    [{ loss: { centerMomentum: 2 } }, 'loss.centerMomentum in 0..1'],
    [{ groups: 128 }, 'two images in each group'],
    [{ backbone: { patchSize: 16 } }, 'of at least 3 x 3 patches of 16'],
    [{ backbone: { patchSize: 64 } }, 'at least one patch of 64'],
  ])('refuses %j', (overrides, said) => {
    const error = refused(overrides);
    expect(error.code).toBe('BAD_OPTION');
    expect(error.message).toContain(said);
  });

  it('takes what a head of the patches does not say from the head of the CLS token', () => {
    const { config } = resolveConfig({
      recipe: 'dinov2',
      preset: 'cifar-tiny',
      overrides: [{ patchHead: { width: 64 } }],
    });
    const { layers, hiddenWidth, prototypes } = (config as DinoV2Config).head;
    expect(config).toMatchObject({
      patchHead: { layers, hiddenWidth, width: 64, prototypes, prototypeNorms: 'trainable' },
    });
    expect((config as DinoV2Config).patchHead).not.toHaveProperty('freezeEpochs');
  });

  it('refuses patches of 14 pixels for local views of 96, and says which size fits', () => {
    const error = refused({ backbone: { patchSize: 14 } }, 'dinov2', 'imagenet-vitl16-short');
    expect(error.message).toContain('crops.local.size divisible by backbone.patchSize (14), got 96. Fix: use 98');
  });
});
