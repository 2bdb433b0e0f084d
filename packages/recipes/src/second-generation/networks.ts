import { vit, vitConfig } from '@selfsup/backbone-vit';
import { Rng } from '@selfsup/core';
import { projectionHead, prototypeLogits, type ProjectionHead } from '@selfsup/ema-distill';
import { dinov2ParameterRule, parameterGroups } from '@selfsup/optim';
import type { HeadConfig, PrototypeHeadConfig, SecondGenerationConfig } from '../config/types.js';
import { prefixed, under, type TrainedNetworks } from '../training/networks.js';
import type { NamedTensors } from '@selfsup/compile';

/** A head and where its parameters are, e.g. `dino_head`. */
export interface NamedHead {
  readonly name: string;
  readonly head: ProjectionHead;
}

/** Backbone and heads of DINOv2 and SimDINOv2, under the authors' names. */
export interface MaskedNetworks extends TrainedNetworks {
  readonly clsHead: NamedHead;
  /** The same as `clsHead` where one head serves both. */
  readonly patchHead: NamedHead;
  /** Modules whose gradients are clipped together: `backbone`, `dino_head`, and `ibot_head` if there is one. */
  readonly modules: readonly string[];
}

function headOf(inputWidth: number, config: HeadConfig | Omit<PrototypeHeadConfig, 'freezeEpochs'>): ProjectionHead {
  const { layers, hiddenWidth, width } = config;
  const prototypes =
    'prototypes' in config ? { prototypes: config.prototypes, prototypeNorms: config.prototypeNorms } : {};
  return projectionHead({ inputWidth, layers, hiddenWidth, outputWidth: width, ...prototypes });
}

/** Backbone and heads of a configuration. @throws SslError `UNKNOWN_NAME` or `BAD_OPTION` */
export function buildMaskedNetworks(config: SecondGenerationConfig): MaskedNetworks {
  const backbone = vit(vitConfig(config.arch, config.backbone));
  const { width, depth } = backbone.config;
  const clsHead = { name: 'dino_head', head: headOf(width, config.head) };
  const patchHead =
    config.patchHead === undefined ? clsHead : { name: 'ibot_head', head: headOf(width, config.patchHead) };
  const heads = patchHead === clsHead ? [clsHead] : [clsHead, patchHead];
  const ofHeads = <T>(values: (named: NamedHead) => Readonly<Record<string, T>>): Record<string, T> =>
    Object.assign({}, ...heads.map((named) => prefixed(`${named.name}.`, values(named)))) as Record<string, T>;
  const specs = {
    ...prefixed('backbone.', backbone.parameterSpecs()),
    ...ofHeads(({ head }) => head.parameterSpecs()),
  };
  const { layerDecay, patchEmbedMultiplier } = config.optimizer;
  return {
    backbone,
    clsHead,
    patchHead,
    modules: ['backbone', ...heads.map(({ name }) => name)],
    specs,
    groups: parameterGroups(specs, dinov2ParameterRule({ depth, layerDecay, patchEmbedMultiplier }), {
      frozen: heads.flatMap(({ name, head }) => head.frozenParameters.map((parameter) => `${name}.${parameter}`)),
    }),
    init: (seed) => ({
      ...prefixed('backbone.', backbone.init(Rng.of(seed, 'init.backbone'))),
      ...ofHeads(({ name, head }) => head.init(Rng.of(seed, `init.${name}`))),
    }),
  };
}

/** Width of what a head gives: prototypes or features. */
export function outputWidth({ head }: NamedHead): number {
  return head.config.prototypes ?? head.config.outputWidth;
}

/** Applies a head of a network whose parameters all come in one record. */
export function applyHead(
  { name, head }: NamedHead,
  parameters: NamedTensors,
  rows: Parameters<ProjectionHead['apply']>[1],
): ReturnType<ProjectionHead['apply']> {
  return head.apply(under(`${name}.`, parameters), rows);
}

/** What a head gives before its prototypes: rows of length 1. */
export function headFeatures(
  { name, head }: NamedHead,
  parameters: NamedTensors,
  rows: Parameters<ProjectionHead['apply']>[1],
): ReturnType<ProjectionHead['apply']> {
  const { prototypes, ...config } = head.config;
  void prototypes;
  return projectionHead(config).apply(under(`${name}.`, parameters), rows);
}

/** The rest of {@link applyHead}: logits of such features. */
export function headLogits(
  { name }: NamedHead,
  parameters: NamedTensors,
  features: Parameters<ProjectionHead['apply']>[1],
): ReturnType<ProjectionHead['apply']> {
  const layer = under(`${name}.last_layer.`, parameters);
  return prototypeLogits(features, layer['weight_v'], layer['weight_g']);
}
