import { SslError } from '@selfsup/core';

/** How position embeddings are resized to another grid than the trained one. */
export interface PositionInterpolation {
  /** Added to the size of the new grid when the coordinate scale is formed: 0.1 (DINO) or 0. */
  readonly offset: number;
  /** Low-pass filter when shrinking, with the cubic of Pillow (a = -0.5) instead of a = -0.75. */
  readonly antialias: boolean;
}

/** Everything that makes up a vision transformer; plain data, so it can be stored beside the weights. */
export interface VitConfig {
  /** Side of the (square) pictures the position embedding is made for, pixels. */
  readonly imageSize: number;
  /** Side of a patch, pixels. */
  readonly patchSize: number;
  /** Channels of the pictures. */
  readonly channels: number;
  /** D, size of a token. */
  readonly width: number;
  /** Number of blocks. */
  readonly depth: number;
  /** Attention heads; must divide `width`. */
  readonly heads: number;
  /** Hidden size of the feed-forward part over `width`; the product is truncated. */
  readonly mlpRatio: number;
  /** `mlp`: fc1, gelu, fc2. `swiglu`: DINOv2's `swiglufused`, whose hidden size is two thirds, rounded up to 8. */
  readonly ffn: 'mlp' | 'swiglu';
  /** Whether the query-key-value projection has a bias. */
  readonly qkvBias: boolean;
  /** R, number of register tokens between CLS and patches; they get no position. */
  readonly registers: number;
  /** Whether there is a mask token, needed to run with masks. */
  readonly maskToken: boolean;
  /** Start value of LayerScale; undefined: no LayerScale. */
  readonly layerScale: number | undefined;
  /** Standard deviation of the CLS token at the start. */
  readonly clsStd: number;
  readonly layerNormEps: number;
  readonly interpolation: PositionInterpolation;
  /** What happens to rows and columns of pixels beyond the last whole patch: dropped silently, or refused. */
  readonly remainder: 'drop' | 'error';
  /** r, largest rate of stochastic depth. Without masks or subsets given to `apply` nothing is dropped. */
  readonly dropPathRate: number;
  /**
   * Rate of block l: r everywhere, or r * l / (depth - 1); `linear-float32` takes those from a float32 ramp as SimDINOv2
   * does, which can make a subset one row smaller.
   */
  readonly dropPathRule: 'uniform' | 'linear' | 'linear-float32';
  /**
   * What a residual branch is computed for where a batch subset is given: the chosen rows alone, as DINOv2 does; or all of
   * them, those not chosen times 0. The numbers are the same. All rows cost more arithmetic, up to 1 / (1 - r) times, but
   * no row moves, which devices that share a batch would have to tell each other.
   */
  readonly dropPathRows: 'chosen' | 'all';
}

/** M, side of the grid of patches the position embedding is made for. */
export function trainedGrid(config: VitConfig): number {
  return Math.floor(config.imageSize / config.patchSize);
}

/** Hidden size of the feed-forward part. */
export function hiddenWidth(config: VitConfig): number {
  const hidden = Math.trunc(config.width * config.mlpRatio);
  return config.ffn === 'mlp' ? hidden : 8 * Math.floor((Math.trunc((hidden * 2) / 3) + 7) / 8);
}

/** @throws SslError `BAD_OPTION` */
export function checkVitConfig(where: string, config: VitConfig): void {
  const refuse = (option: keyof VitConfig, expected: string, fix: string): never => {
    const value = config[option];
    throw new SslError('BAD_OPTION', {
      where,
      expected: `${option} ${expected}`,
      got: typeof value === 'object' ? JSON.stringify(value) : String(value),
      fix,
      details: { option, value },
    });
  };
  for (const option of ['imageSize', 'patchSize', 'channels', 'width', 'depth', 'heads'] as const) {
    if (!Number.isInteger(config[option]) || config[option] < 1) refuse(option, 'a positive integer', `set ${option}`);
  }
  const { width, heads, imageSize, patchSize } = config;
  if (width % heads !== 0) {
    const counts = Array.from({ length: Math.min(2 * heads, width) }, (_, i) => i + 1);
    const fitting = counts.filter((count) => width % count === 0).join(', ');
    const near = heads * Math.ceil(width / heads);
    refuse('width', `divisible by heads = ${heads}`, `use ${fitting} heads, or a width such as ${near}`);
  }
  if (imageSize < patchSize) {
    refuse('imageSize', `of at least one patch of ${patchSize}`, 'enlarge imageSize or reduce patchSize');
  }
  if (config.remainder === 'error' && imageSize % patchSize !== 0) {
    const near = patchSize * Math.round(imageSize / patchSize);
    refuse('imageSize', `a multiple of patchSize = ${patchSize}`, `use ${near}, or remainder "drop" as DINO (v1) does`);
  }
  if (!Number.isInteger(config.registers) || config.registers < 0) refuse('registers', 'an integer >= 0', 'use 0 or 4');
  if (!(hiddenWidth(config) >= 1)) refuse('mlpRatio', 'that leaves a hidden size >= 1', 'use 4');
  if (!(config.layerNormEps > 0)) refuse('layerNormEps', '> 0', 'use 1e-6');
  if (!(config.clsStd >= 0)) refuse('clsStd', '>= 0', 'use 0.02 (v1) or 1e-6 (v2)');
  if (!(config.interpolation.offset >= 0)) refuse('interpolation', 'offset >= 0', 'use an offset of 0 or 0.1');
  if (config.layerScale !== undefined && !Number.isFinite(config.layerScale)) {
    refuse('layerScale', 'undefined or a finite number', 'use 1e-5 (DINOv2) or 0.1 (SimDINOv2)');
  }
  if (!(config.dropPathRate >= 0 && config.dropPathRate < 1)) refuse('dropPathRate', 'in [0, 1)', 'use 0.1 or so');
  const words = {
    ffn: ['mlp', 'swiglu'],
    remainder: ['drop', 'error'],
    dropPathRule: ['uniform', 'linear', 'linear-float32'],
    dropPathRows: ['chosen', 'all'],
  } as const;
  for (const option of Object.keys(words) as (keyof typeof words)[]) {
    const known: readonly string[] = words[option];
    if (!known.includes(config[option])) refuse(option, `one of ${known.join(', ')}`, `use ${known[0]}`);
  }
}
