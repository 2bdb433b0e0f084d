import { pickNamed } from '@selfsup/core';
import { checkVitConfig, type VitConfig } from './config.js';

/** Sizes of an architecture. */
export type VitArchitecture = Pick<VitConfig, 'width' | 'depth' | 'heads' | 'mlpRatio' | 'ffn'>;

/** What a family of programs agrees on. */
export type VitFlavour = Pick<
  VitConfig,
  'interpolation' | 'layerScale' | 'registers' | 'maskToken' | 'clsStd' | 'remainder' | 'dropPathRule'
>;

const mlp = (width: number, depth: number, heads: number, mlpRatio = 4): VitArchitecture => ({
  width,
  depth,
  heads,
  mlpRatio,
  ffn: 'mlp',
});

/**
 * Sizes by name. tiny, small and base as in DINO (v1); small, base, large and giant2 as in DINOv2; so150m to so400m as in
 * SimDINOv2 (shape-optimised). Every size can be had in every flavour.
 */
export const VIT_ARCHITECTURES = {
  vit_tiny: mlp(192, 12, 3),
  vit_small: mlp(384, 12, 6),
  vit_base: mlp(768, 12, 12),
  vit_large: mlp(1024, 24, 16),
  vit_giant2: { ...mlp(1536, 40, 24), ffn: 'swiglu' },
  vit_so150m: mlp(896, 18, 14, 2.572),
  vit_so150m2: mlp(832, 21, 13, 34 / 13),
  vit_so300m: mlp(1024, 24, 16, 3.375),
  vit_so400m: mlp(1152, 27, 16, 3.7362),
} as const satisfies Record<string, VitArchitecture>;

const DINOV2: VitFlavour = {
  interpolation: { offset: 0.1, antialias: false },
  layerScale: 1e-5,
  registers: 0,
  maskToken: true,
  clsStd: 1e-6,
  remainder: 'error',
  dropPathRule: 'uniform',
};

/**
 * Settings of the published families: `dino` is v1 (also SimDINO), `dinov2` v2 without and `dinov2-registers` v2 with
 * register tokens, `simdinov2` its successor.
 */
export const VIT_FLAVOURS = {
  dino: {
    interpolation: { offset: 0.1, antialias: false },
    layerScale: undefined,
    registers: 0,
    maskToken: false,
    clsStd: 0.02,
    remainder: 'drop',
    dropPathRule: 'linear',
  },
  dinov2: DINOV2,
  'dinov2-registers': { ...DINOV2, registers: 4, interpolation: { offset: 0, antialias: true } },
  simdinov2: { ...DINOV2, layerScale: 0.1, registers: 4, interpolation: { offset: 0, antialias: true } },
} as const satisfies Record<string, VitFlavour>;

export type VitArchitectureName = keyof typeof VIT_ARCHITECTURES;
export type VitFlavourName = keyof typeof VIT_FLAVOURS;

/** What {@link vitConfig} takes beside the architecture: any field of {@link VitConfig}, and the family of defaults. */
export interface VitOverrides extends Partial<VitConfig> {
  /** Family whose settings are the defaults (see {@link VIT_FLAVOURS}). Default `dino`. */
  readonly flavour?: VitFlavourName;
}

const COMMON: Omit<VitConfig, keyof VitArchitecture | keyof VitFlavour> = {
  imageSize: 224,
  patchSize: 16,
  channels: 3,
  qkvBias: true,
  layerNormEps: 1e-6,
  dropPathRate: 0,
  dropPathRows: 'chosen',
};

const NO_FLAVOUR: VitFlavourName = 'dino';

/**
 * A complete configuration from an architecture's name, a flavour and overrides.
 *
 * @param architecture - a name of {@link VIT_ARCHITECTURES}, e.g. `vit_small`
 * @throws SslError `UNKNOWN_NAME` for an unknown architecture or flavour (nearest name suggested), `BAD_OPTION` for an
 *   unknown override or impossible sizes
 *
 * @example
 * const config = vitConfig('vit_small', { flavour: 'dinov2', patchSize: 14, imageSize: 518 });
 */
export function vitConfig(architecture: string, overrides: VitOverrides = {}): VitConfig {
  const where = 'backbone-vit.vitConfig';
  const sizes = pickNamed(where, 'architecture', architecture, VIT_ARCHITECTURES);
  const { flavour = NO_FLAVOUR, ...given } = overrides;
  const family = pickNamed(where, 'flavour', flavour, VIT_FLAVOURS);
  const defaults: VitConfig = { ...COMMON, ...family, ...sizes };
  for (const name of Object.keys(given)) pickNamed(where, 'option', name, { ...defaults, flavour }, 'BAD_OPTION');
  const config: VitConfig = { ...defaults, ...given };
  checkVitConfig(where, config);
  return config;
}
