import { type FixtureCase, fixtureCases } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
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
  type ParameterTreatment,
} from '../../src/index.js';
import { type HostNumbers, toHost, toTensor, toTensors } from '../tensors.js';

/** Tensors of a fixture below a prefix, without it. */
function below(fixture: FixtureCase, prefix: string): HostNumbers {
  return Object.fromEntries(
    Object.entries(fixture.tensors())
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, tensor]) => [name.slice(prefix.length), tensor]),
  );
}

/** What differs between the two families. */
interface Family {
  readonly groups: ParameterGroups;
  readonly clip: (grads: Record<string, tf.Tensor>) => ReturnType<typeof clipScalesPerTensor>;
  readonly lastLayer: (step: number) => AdamWClock;
  readonly norms: (step: number) => Record<string, number>;
}

function treatmentOf(groups: ParameterGroups, name: string): ParameterTreatment {
  return groups.groups[groups.groupOf[name]];
}

/** Runs the steps of a fixture; `observe` sees everything after each. */
function replay(fixture: FixtureCase, family: Family, observe: (step: number, found: Observed) => void): void {
  const { lr, wd, betas, adam_eps: epsilon } = fixture.json['hyper'];
  const init = below(fixture, 'init/');
  let params = toTensors(init);
  let m = toTensors(adamWMoments(init, family.groups));
  let v = toTensors(adamWMoments(init, family.groups));
  for (let step = 0; step < lr.length; step++) {
    const grads = toTensors(below(fixture, `step${step}/grad/`));
    const { norms, scales } = family.clip(grads);
    const scalars = toTensor(
      adamWScalars(
        family.groups,
        {
          learningRate: lr[step],
          weightDecay: wd[step],
          clocks: { main: { updates: step + 1 }, lastLayer: family.lastLayer(step) },
        },
        { beta1: betas[0], beta2: betas[1], epsilon },
      ),
    );
    const next = adamW({ params, grads, m, v, groups: family.groups, scalars, gradientScales: scales });
    tf.dispose([params, m, v, grads, scales, scalars]);
    ({ params, m, v } = next);
    observe(step, { params: toHost(params), m: toHost(m), v: toHost(v), norms: toHost(norms) });
    tf.dispose(norms);
  }
  tf.dispose([params, m, v]);
}

type Observed = Record<'params' | 'm' | 'v' | 'norms', ReturnType<typeof toHost>>;

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

const isV2 = (fixture: FixtureCase): boolean => 'param_groups' in fixture.json;

describe.each(fixtureCases('ssl/optim'))('$name', (fixture) => {
  const family = isV2(fixture) ? v2(fixture) : v1(fixture);

  it('sorts the parameters into the same groups', () => {
    const { param_groups: v2Groups, regularized, not_regularized, frozen } = fixture.json;
    const names = Object.keys(below(fixture, 'init/'));
    if (isV2(fixture)) {
      expect(Object.keys(family.groups.groupOf).sort()).toEqual(Object.keys(v2Groups).sort());
      for (const [name, expected] of Object.entries<Record<string, number | boolean>>(v2Groups)) {
        const { learningRateMultiplier, weightDecayMultiplier, clock } = treatmentOf(family.groups, name);
        expect(learningRateMultiplier, name).toBeCloseTo(expected['lr_multiplier'] as number, 14);
        expect(weightDecayMultiplier, name).toBe(expected['wd_multiplier']);
        expect(clock, name).toBe(expected['is_last_layer'] ? 'lastLayer' : 'main');
      }
    } else {
      const decayed = names
        .filter((name) => !frozen.includes(name))
        .filter((name) => treatmentOf(family.groups, name).weightDecayMultiplier === 1);
      expect(decayed.sort()).toEqual([...regularized].sort());
      expect(Object.keys(family.groups.groupOf).sort()).toEqual([...regularized, ...not_regularized].sort());
      expect(family.groups.frozen).toEqual(frozen);
    }
  });

  it('gives the same norms and parameters after every step', () => {
    let steps = 0;
    replay(fixture, family, (step, { params, norms }) => {
      for (const [name, expected] of Object.entries(family.norms(step))) {
        expect(norms[name].data[0], `norm of ${name}`).toBeAllclose(expected, { rtol: 1e-6, atol: 1e-12 });
      }
      for (const [name, expected] of Object.entries(below(fixture, `step${step}/after/`))) {
        // The tolerance is relative to the largest parameter of the step.
        expect(params[name], `${name} after step ${step}`).toBeAllclose(expected, {
          maxRel: fixture.tolerance(`step${step}`),
          atol: 1e-9,
        });
      }
      steps++;
    });
    expect(steps).toBe(fixture.json['hyper'].lr.length);
  });

  it('leaves a frozen last layer and its moments alone', () => {
    const before = { params: below(fixture, 'init/') };
    const lastLayer = Object.keys(before.params).filter((name) => name.includes('last_layer'));
    replay(fixture, family, (step, { params, m }) => {
      const { updates, learningRate } = family.lastLayer(step);
      const stays = updates === 'frozen' || learningRate === 0;
      if (!stays) return;
      for (const name of lastLayer) {
        expect(params[name].data, name).toEqual(Float32Array.from(before.params[name].data));
        if (name in m)
          expect(
            m[name].data.every((x) => x === 0),
            `moments of ${name}`,
          ).toBe(updates === 'frozen');
      }
    });
  });
});
