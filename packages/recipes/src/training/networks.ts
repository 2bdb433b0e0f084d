import { vit, vitConfig, type Vit } from '@selfsup/backbone-vit';
import { Rng, type HostTensor, type Specs } from '@selfsup/core';
import { projectionHead, type ProjectionHead } from '@selfsup/ema-distill';
import { dinoParameterRule, parameterGroups, type ParameterGroups } from '@selfsup/optim';
import type { FirstGenerationConfig } from '../config/types.js';

/** Student and teacher are two sets of values for these modules. */
export interface TrainedNetworks {
  readonly backbone: Vit;
  /** Shapes by name, with the module's name in front, e.g. `backbone.`. */
  readonly specs: Specs;
  /** How the optimiser treats each of them. */
  readonly groups: ParameterGroups;
  /** Start values, the same for student and teacher. */
  init(seed: number): Record<string, HostTensor>;
}

/** Backbone and head (`head.`) of DINO and SimDINO. */
export interface Networks extends TrainedNetworks {
  readonly head: ProjectionHead;
}

const prefixed = <T>(prefix: string, items: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(items).map(([name, item]) => [`${prefix}${name}`, item]));

/** Backbone and head of a configuration. @throws SslError `UNKNOWN_NAME` or `BAD_OPTION` */
export function buildNetworks({
  arch,
  backbone: changes,
  head: shape,
}: Pick<FirstGenerationConfig, 'arch' | 'backbone' | 'head'>): Networks {
  const backbone = vit(vitConfig(arch, changes));
  const { layers, hiddenWidth, width } = shape;
  const head = projectionHead({
    inputWidth: backbone.config.width,
    layers,
    hiddenWidth,
    outputWidth: width,
    ...('prototypes' in shape ? { prototypes: shape.prototypes, prototypeNorms: shape.prototypeNorms } : {}),
  });
  const specs = { ...prefixed('backbone.', backbone.parameterSpecs()), ...prefixed('head.', head.parameterSpecs()) };
  return {
    backbone,
    head,
    specs,
    groups: parameterGroups(specs, dinoParameterRule(), {
      frozen: head.frozenParameters.map((name) => `head.${name}`),
    }),
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
