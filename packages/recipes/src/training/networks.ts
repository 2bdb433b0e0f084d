import { vit, vitConfig, type Vit } from '@selfsup/backbone-vit';
import { Rng, type HostTensor, type Specs } from '@selfsup/core';
import { projectionHead, type ProjectionHead } from '@selfsup/ema-distill';
import type { RecipeConfig } from '../config/types.js';

/** Student and teacher are two sets of values for these two modules. */
export interface Networks {
  readonly backbone: Vit;
  readonly head: ProjectionHead;
  /** Shapes by name, with `backbone.` and `head.` in front. */
  readonly specs: Specs;
  /** Start values, the same for student and teacher. */
  init(seed: number): Record<string, HostTensor>;
}

const prefixed = <T>(prefix: string, items: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(items).map(([name, item]) => [`${prefix}${name}`, item]));

/** Backbone and head of a configuration. @throws SslError `UNKNOWN_NAME` or `BAD_OPTION` */
export function buildNetworks(config: Pick<RecipeConfig, 'arch' | 'backbone' | 'head'>): Networks {
  const backbone = vit(vitConfig(config.arch, config.backbone));
  const { layers, hiddenWidth, width } = config.head;
  const head = projectionHead({ inputWidth: backbone.config.width, layers, hiddenWidth, outputWidth: width });
  return {
    backbone,
    head,
    specs: { ...prefixed('backbone.', backbone.parameterSpecs()), ...prefixed('head.', head.parameterSpecs()) },
    init: (seed) => ({
      ...prefixed('backbone.', backbone.init(Rng.of(seed, 'init.backbone'))),
      ...prefixed('head.', head.init(Rng.of(seed, 'init.head'))),
    }),
  };
}

/** The entries whose names start with a prefix, without it. */
export function under<T>(prefix: string, items: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(
    Object.entries(items)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, item]) => [name.slice(prefix.length), item]),
  );
}

export { prefixed };
