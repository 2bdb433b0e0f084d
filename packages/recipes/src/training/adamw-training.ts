import type { NamedTensors, Step } from '@selfsup/compile';
import type { HostArrays, HostTensor, Specs } from '@selfsup/core';
import {
  adamW,
  adamWMoments,
  adamWScalars,
  adamWScalarsSpec,
  dinoParameterRule,
  MAIN_CLOCK,
  parameterGroups,
} from '@selfsup/optim';
import * as tf from '@tensorflow/tfjs-core';
import { prefixed, under } from './networks.js';

/** What {@link adamWTraining} makes of a loss. */
export interface AdamWTraining {
  /** For `compileStep`: state `weights.*`, `adam.m.*`, `adam.v.*`; metrics `loss`. */
  readonly step: Step;
  readonly state: Specs;
  readonly batch: Specs;
  readonly initialState: HostArrays;
  /** The optimiser's part of a batch; `step` counts from 0. */
  scalars(step: number, settings: { readonly learningRate: number; readonly weightDecay: number }): HostArrays;
}

/**
 * A training step for any loss of parameters and batch: gradients and AdamW (biases and one-dimensional parameters are
 * not decayed). For methods of your own that need no teacher; the recipes' step adds one.
 *
 * @param parameters - Start values by name.
 * @param batch - Specs of the arrays that `loss` takes.
 * @param loss - Scalar to minimise; must use every parameter.
 *
 * @example
 * const training = adamWTraining(init(0), { images: { shape: [64, 32, 32, 3], dtype: 'u8' } }, (p, { images }) => myLoss(p, images));
 * const compiled = await compileStep(training.step, { engine, state: training.state, batch: training.batch });
 */
export function adamWTraining(
  parameters: Readonly<Record<string, HostTensor>>,
  batch: Specs,
  loss: (parameters: NamedTensors, batch: NamedTensors) => tf.Scalar,
): AdamWTraining {
  const names = Object.keys(parameters);
  const groups = parameterGroups(parameters, dinoParameterRule());
  const moments = adamWMoments(parameters, groups);
  const start = {
    ...prefixed('weights.', parameters),
    ...prefixed('adam.m.', moments),
    ...prefixed('adam.v.', moments),
  };
  return {
    state: Object.fromEntries(Object.entries(start).map(([name, { shape, dtype }]) => [name, { shape, dtype }])),
    batch: { ...batch, adamw: adamWScalarsSpec(groups) },
    initialState: Object.fromEntries(Object.entries(start).map(([name, { data }]) => [name, data])),
    scalars: (step, settings) => ({
      adamw: adamWScalars(groups, { ...settings, clocks: { [MAIN_CLOCK]: { updates: step + 1 } } }).data,
    }),
    step: (state, { adamw, ...inputs }) => {
      const params = under('weights.', state);
      const { value, grads } = tf.valueAndGrads((...values: tf.Tensor[]) =>
        loss(Object.fromEntries(names.map((name, i) => [name, values[i]])), inputs),
      )(names.map((name) => params[name]));
      const next = adamW({
        params,
        grads: Object.fromEntries(names.map((name, i) => [name, grads[i]])),
        m: under('adam.m.', state),
        v: under('adam.v.', state),
        groups,
        scalars: adamw,
      });
      return {
        state: { ...prefixed('weights.', next.params), ...prefixed('adam.m.', next.m), ...prefixed('adam.v.', next.v) },
        metrics: { loss: value },
      };
    },
  };
}
