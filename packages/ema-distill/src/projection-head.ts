import { checkShape, type HostTensor, type Rng, sizeOf, type Specs, SslError, type TensorSpec } from '@selfsup/core';
import { gelu, linear, normalize } from '@selfsup/ops';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensors } from './ema.js';
import { prototypeLogits } from './prototypes.js';

/** Description of a projection head. */
export interface ProjectionHeadConfig {
  /** Width of what comes in: the backbone's. */
  readonly inputWidth: number;
  /** Width of the features (the authors' bottleneck); 256 by default. */
  readonly outputWidth?: number;
  /** Width between the linear maps; 2048 by default. */
  readonly hiddenWidth?: number;
  /** Number of linear maps, GELU between them; 3 by default. */
  readonly layers?: number;
  /** Whether features are scaled to length 1; `unit` by default. */
  readonly normalization?: 'unit' | 'none';
  /** Smallest length to divide by; 1e-12 by default (DINOv2 takes 1e-6 when it runs in fp16). */
  readonly epsilon?: number;
  /** Number of prototypes of DINO and DINOv2; none (SimDINO, SimDINOv2) by default. */
  readonly prototypes?: number;
  /** Whether the prototypes' norms stay at 1 (`frozen`: DINO's `norm_last_layer`, the default) or are trained (DINOv2). */
  readonly prototypeNorms?: 'frozen' | 'trainable';
  /** Batch normalisation between the layers: an option of the authors that no published recipe uses; refused. */
  readonly batchNorm?: boolean;
}

/** A configuration with its defaults filled in. */
export type ResolvedProjectionHeadConfig = Required<Omit<ProjectionHeadConfig, 'prototypes' | 'batchNorm'>> &
  Pick<ProjectionHeadConfig, 'prototypes'>;

/** A projection head; holds no tensors. */
export interface ProjectionHead {
  readonly config: ResolvedProjectionHeadConfig;
  /** Parameters that are never trained, by name: `last_layer.weight_g` where norms are frozen. */
  readonly frozenParameters: readonly string[];
  /** Shapes by the authors' state-dict names without prefix: `mlp.0.weight` ... `last_layer.weight_v`. */
  parameterSpecs(): Specs;
  /** Start values on the host: N(0, 0.02) and zeros; prototypes uniform in +-1/sqrt(outputWidth), norms 1. */
  init(rng: Rng): Record<string, HostTensor>;
  /**
   * Features, or logits where the head has prototypes.
   *
   * @param params - By the names of `parameterSpecs`; others are not looked at.
   * @param x - `[N, inputWidth]`, float32.
   * @returns `[N, outputWidth]` rows of length 1, or `[N, prototypes]` logits; float32
   * @throws SslError `SHAPE_MISMATCH`
   */
  apply(params: Tensors, x: tf.Tensor): tf.Tensor2D;
}

/** Standard deviation of the linear maps' weights at the start. */
const INIT_STD = 0.02;

const NORMS = 'last_layer.weight_g';
const DIRECTIONS = 'last_layer.weight_v';

/**
 * The projection head of all four methods (`DINOHead`): linear maps with GELU between them, features of length 1 and,
 * for DINO and DINOv2, weight-normalised prototypes without bias.
 *
 * @throws SslError `BAD_OPTION` for impossible sizes, `UNSUPPORTED` for batch normalisation
 *
 * @example
 * const head = projectionHead({ inputWidth: 192 }); // SimDINO
 * const dinoHead = projectionHead({ inputWidth: 192, prototypes: 65_536 });
 * const features = head.apply(params, cls); // [N, 256]
 */
export function projectionHead(config: ProjectionHeadConfig): ProjectionHead {
  const resolved = resolve(config);
  const { inputWidth, normalization, epsilon, prototypes, prototypeNorms } = resolved;
  const layers = linearLayers(resolved);
  const specs = specsOf(resolved, layers);
  return {
    config: resolved,
    frozenParameters: prototypes !== undefined && prototypeNorms === 'frozen' ? [NORMS] : [],
    parameterSpecs: () => specs,
    init: (rng) => Object.fromEntries(Object.entries(specs).map(([name, spec]) => [name, initial(name, spec, rng)])),
    apply: (params, x) => {
      const where = 'ema-distill.projectionHead.apply';
      checkShape(where, 'x', x, ['N', inputWidth]);
      checkParameters(where, params, specs);
      return tf.tidy(() => {
        const projected = layers.reduce<tf.Tensor>((h, { name }, i) => {
          return linear(i === 0 ? h : gelu(h), params[`${name}.weight`], params[`${name}.bias`]);
        }, x);
        const features = normalization === 'unit' ? normalize(projected, { epsilon }) : projected;
        return prototypes === undefined
          ? (features as tf.Tensor2D)
          : prototypeLogits(features, params[DIRECTIONS], params[NORMS]);
      });
    },
  };
}

interface LinearLayer {
  readonly name: string;
  readonly input: number;
  readonly output: number;
}

/** Names as in PyTorch's `nn.Sequential`, where every GELU takes an index; a single layer is no sequence. */
function linearLayers({ inputWidth, hiddenWidth, outputWidth, layers }: ResolvedProjectionHeadConfig): LinearLayer[] {
  return Array.from({ length: layers }, (_, i) => ({
    name: layers === 1 ? 'mlp' : `mlp.${2 * i}`,
    input: i === 0 ? inputWidth : hiddenWidth,
    output: i === layers - 1 ? outputWidth : hiddenWidth,
  }));
}

function specsOf({ prototypes, outputWidth }: ResolvedProjectionHeadConfig, layers: readonly LinearLayer[]): Specs {
  const specs: Record<string, TensorSpec> = {};
  for (const { name, input, output } of layers) {
    specs[`${name}.weight`] = { shape: [output, input], dtype: 'f32' };
    specs[`${name}.bias`] = { shape: [output], dtype: 'f32' };
  }
  if (prototypes !== undefined) {
    specs[NORMS] = { shape: [prototypes, 1], dtype: 'f32' };
    specs[DIRECTIONS] = { shape: [prototypes, outputWidth], dtype: 'f32' };
  }
  return specs;
}

function initial(name: string, spec: TensorSpec, rng: Rng): HostTensor {
  const size = sizeOf(spec.shape);
  if (name === NORMS) return { ...spec, data: new Float32Array(size).fill(1) };
  if (name.endsWith('.bias')) return { ...spec, data: new Float32Array(size) };
  if (name !== DIRECTIONS) return { ...spec, data: rng.normals(size, INIT_STD) };
  const bound = 1 / Math.sqrt(spec.shape[1]);
  return { ...spec, data: rng.uniforms(size, -bound, bound) };
}

function resolve(config: ProjectionHeadConfig): ResolvedProjectionHeadConfig {
  const { batchNorm = false, prototypes, ...rest } = config;
  const where = 'ema-distill.projectionHead';
  if (batchNorm) {
    throw new SslError('UNSUPPORTED', {
      where,
      expected: 'a head without batch normalisation',
      got: 'batchNorm: true',
      fix: 'leave batchNorm out; no published recipe uses it',
    });
  }
  const resolved = {
    outputWidth: 256,
    hiddenWidth: 2048,
    layers: 3,
    normalization: 'unit',
    epsilon: 1e-12,
    prototypeNorms: 'frozen',
    ...rest,
    ...(prototypes === undefined ? {} : { prototypes }),
  } as const;
  const { inputWidth, outputWidth, hiddenWidth, layers } = resolved;
  const counts = { inputWidth, outputWidth, hiddenWidth, layers, ...(prototypes === undefined ? {} : { prototypes }) };
  for (const [name, value] of Object.entries(counts)) {
    if (Number.isInteger(value) && value > 0) continue;
    throw new SslError('BAD_OPTION', {
      where,
      expected: `${name} as a positive integer`,
      got: `${value}`,
      fix: `pass a positive whole number for ${name}`,
      details: { name, value },
    });
  }
  return resolved;
}

function checkParameters(where: string, params: Tensors, specs: Specs): void {
  const missing = Object.keys(specs).filter((name) => !Object.hasOwn(params, name));
  if (missing.length > 0) {
    throw new SslError('SHAPE_MISMATCH', {
      where,
      expected: `the parameters ${Object.keys(specs).join(', ')}`,
      got: `none called ${missing.join(', ')}`,
      fix: 'pass the parameters of this head by their names without prefix',
      details: { missing },
    });
  }
  for (const [name, { shape }] of Object.entries(specs)) checkShape(where, name, params[name], shape);
}
