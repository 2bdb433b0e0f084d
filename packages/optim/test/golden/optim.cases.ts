import type { FixtureCase } from '@selfsup/test-kit';
import type * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import { below, type Found, type GoldenSequence, prefixed, under } from '@selfsup/test-kit/golden-case';
import {
  adamW,
  type AdamWClock,
  adamWMoments,
  adamWScalars,
  clipScalesPerModule,
  clipScalesPerTensor,
  dinoParameterRule,
  dinov2ParameterRule,
  parameterGroups,
  type ParameterGroups,
} from '../../src/index.js';

/** What differs between the two families. */
export interface Family {
  readonly groups: ParameterGroups;
  readonly clip: (grads: Record<string, tf.Tensor>) => ReturnType<typeof clipScalesPerTensor>;
  readonly lastLayer: (step: number) => AdamWClock;
  readonly norms: (step: number) => Record<string, number>;
}

function v1(fixture: FixtureCase): Family {
  const { hyper, frozen, norms } = fixture.json;
  const init = below(fixture, 'init/');
  const epochs = hyper.epochs as number[];
  const moving = epochs.map((epoch) => epoch >= hyper.freeze);
  // The norms come in the order of the model's parameters, which only the JSON keeps.
  const gradNames = Object.keys(fixture.json['tensors'])
    .filter((name) => name.startsWith('init/'))
    .map((name) => name.slice('init/'.length))
    .filter((name) => !frozen.includes(name));
  return {
    groups: parameterGroups(init, dinoParameterRule(), { frozen }),
    clip: (grads) => clipScalesPerTensor(grads, hyper.clip),
    lastLayer: (step) => ({ updates: moving[step] ? moving.slice(0, step + 1).filter(Boolean).length : 'frozen' }),
    norms: (step) => Object.fromEntries(gradNames.map((name, i) => [name, norms[step][i]])),
  };
}

function v2(fixture: FixtureCase): Family {
  const { hyper, norms } = fixture.json;
  const rule = dinov2ParameterRule({
    depth: hyper.depth,
    layerDecay: hyper.decay,
    patchEmbedMultiplier: hyper.pe,
  });
  return {
    groups: parameterGroups(below(fixture, 'init/'), rule),
    clip: (grads) => clipScalesPerModule(grads, Object.keys(norms[0]), hyper.clip),
    lastLayer: (step) => ({ updates: step + 1, ...(hyper.frozen[step] ? { learningRate: 0 } : {}) }),
    norms: (step) => norms[step],
  };
}

export const isV2 = (fixture: FixtureCase): boolean => 'param_groups' in fixture.json;

export const familyOf = (fixture: FixtureCase): Family => (isV2(fixture) ? v2(fixture) : v1(fixture));

/** A last layer that does not move stays as it was; its moments too where it takes no part at all. */
function checkLastLayer(fixture: FixtureCase, { updates, learningRate }: AdamWClock, state: Found['state']): void {
  if (updates !== 'frozen' && learningRate !== 0) return;
  const init = Object.entries(below(fixture, 'init/')).filter(([name]) => name.includes('last_layer'));
  expect(init.length).toBeGreaterThan(0);
  for (const [name, tensor] of init) {
    expect(state[`params/${name}`].data, name).toEqual(Float32Array.from(tensor.data));
    if (!(`m/${name}` in state)) continue;
    const untouched = state[`m/${name}`].data.every((x) => x === 0);
    expect(untouched, `moments of ${name}`).toBe(updates === 'frozen');
  }
}

/** Clipping and AdamW over the steps of a `ssl/optim` fixture. */
export function optimCases(fixture: FixtureCase): GoldenSequence[] {
  const { lr, wd, betas, adam_eps: epsilon } = fixture.json['hyper'];
  const init = below(fixture, 'init/');
  const family = familyOf(fixture);
  const { groups } = family;
  const moments = adamWMoments(init, groups);
  return [
    {
      name: 'norms and parameters after every step',
      state: { ...prefixed('params/', init), ...prefixed('m/', moments), ...prefixed('v/', moments) },
      calls: (lr as number[]).map((learningRate, step) => ({
        ...prefixed('grads/', below(fixture, `step${step}/grad/`)),
        scalars: adamWScalars(
          groups,
          {
            learningRate,
            weightDecay: wd[step],
            clocks: { main: { updates: step + 1 }, lastLayer: family.lastLayer(step) },
          },
          { beta1: betas[0], beta2: betas[1], epsilon },
        ),
      })),
      step: (state, { scalars, ...rest }) => {
        const grads = under('grads/', rest);
        const { norms, scales } = family.clip(grads);
        const { params, m, v } = adamW({
          params: under('params/', state),
          grads,
          m: under('m/', state),
          v: under('v/', state),
          groups,
          scalars,
          gradientScales: scales,
        });
        return {
          state: { ...prefixed('params/', params), ...prefixed('m/', m), ...prefixed('v/', v) },
          outputs: norms,
        };
      },
      check: ({ state, outputs: norms }, step) => {
        for (const [name, expected] of Object.entries(family.norms(step))) {
          expect(norms[name].data[0], `norm of ${name}`).toBeAllclose(expected, { rtol: 1e-6, atol: 1e-12 });
        }
        const after = Object.entries(below(fixture, `step${step}/after/`));
        expect(after.length).toBeGreaterThan(0);
        for (const [name, expected] of after) {
          // The tolerance is relative to the largest parameter of the step.
          expect(state[`params/${name}`], `${name} after step ${step}`).toBeAllclose(expected, {
            maxRel: fixture.tolerance(`step${step}`),
            atol: 1e-9,
          });
        }
        checkLastLayer(fixture, family.lastLayer(step), state);
      },
    },
  ];
}
