import {
  formatShape,
  type Rng,
  sameShape,
  sizeOf,
  SslError,
  type HostTensor,
  type Specs,
  type TensorSpec,
} from '@selfsup/core';
import type * as tf from '@tensorflow/tfjs-core';
import { hiddenWidth, trainedGrid, type VitConfig } from './config.js';
import { namedStreams } from './streams.js';

/** Named tensors, PyTorch's names and layouts, without a prefix. */
export type VitParameters = Readonly<Record<string, tf.Tensor>>;

/** How a parameter starts. */
type Start =
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'normal'; readonly std: number }
  | { readonly kind: 'uniform'; readonly bound: number };

interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly start: Start;
}

const ZERO: Start = { kind: 'constant', value: 0 };
const ONE: Start = { kind: 'constant', value: 1 };
/** The authors call it truncated, but the bounds are 100 standard deviations away. */
const SMALL: Start = { kind: 'normal', std: 0.02 };

function linear(name: string, out: number, input: number, bias = true): Parameter[] {
  const weight: Parameter = { name: `${name}.weight`, shape: [out, input], start: SMALL };
  return bias ? [weight, { name: `${name}.bias`, shape: [out], start: ZERO }] : [weight];
}

function layerNorm(name: string, width: number): Parameter[] {
  return [
    { name: `${name}.weight`, shape: [width], start: ONE },
    { name: `${name}.bias`, shape: [width], start: ZERO },
  ];
}

function layerScale(name: string, width: number, value: number | undefined): Parameter[] {
  return value === undefined ? [] : [{ name: `${name}.gamma`, shape: [width], start: { kind: 'constant', value } }];
}

function block(config: VitConfig, index: number): Parameter[] {
  const { width, qkvBias, ffn } = config;
  const hidden = hiddenWidth(config);
  const at = `blocks.${index}`;
  return [
    ...layerNorm(`${at}.norm1`, width),
    ...linear(`${at}.attn.qkv`, 3 * width, width, qkvBias),
    ...linear(`${at}.attn.proj`, width, width),
    ...layerScale(`${at}.ls1`, width, config.layerScale),
    ...layerNorm(`${at}.norm2`, width),
    ...(ffn === 'mlp'
      ? [...linear(`${at}.mlp.fc1`, hidden, width), ...linear(`${at}.mlp.fc2`, width, hidden)]
      : [...linear(`${at}.mlp.w12`, 2 * hidden, width), ...linear(`${at}.mlp.w3`, width, hidden)]),
    ...layerScale(`${at}.ls2`, width, config.layerScale),
  ];
}

function parametersOf(config: VitConfig): Parameter[] {
  const { width, channels, patchSize, registers, clsStd } = config;
  // PyTorch's default of a convolution: uniform within 1 / sqrt(fan-in), weight and bias alike.
  const patchStart: Start = { kind: 'uniform', bound: 1 / Math.sqrt(channels * patchSize * patchSize) };
  const cls: Start = { kind: 'normal', std: clsStd };
  return [
    { name: 'cls_token', shape: [1, 1, width], start: cls },
    { name: 'pos_embed', shape: [1, 1 + trainedGrid(config) ** 2, width], start: SMALL },
    ...(registers > 0
      ? [{ name: 'register_tokens', shape: [1, registers, width], start: { kind: 'normal', std: 1e-6 } } as const]
      : []),
    ...(config.maskToken ? [{ name: 'mask_token', shape: [1, width], start: ZERO }] : []),
    { name: 'patch_embed.proj.weight', shape: [width, channels, patchSize, patchSize], start: patchStart },
    { name: 'patch_embed.proj.bias', shape: [width], start: patchStart },
    ...Array.from({ length: config.depth }, (_, index) => block(config, index)).flat(),
    ...layerNorm('norm', width),
  ];
}

/** Shapes of all parameters by name, in the order of the authors' state dict; nothing is allocated. */
export function parameterSpecs(config: VitConfig): Specs {
  return Object.fromEntries(
    parametersOf(config).map(({ name, shape }): [string, TensorSpec] => [name, { shape, dtype: 'f32' }]),
  );
}

function draw(start: Start, size: number, rng: Rng): Float32Array {
  switch (start.kind) {
    case 'constant':
      return new Float32Array(size).fill(start.value);
    case 'normal':
      return rng.normals(size, start.std);
    case 'uniform':
      return rng.uniforms(size, -start.bound, start.bound);
  }
}

/**
 * Start values as the authors draw them (DINO `VisionTransformer._init_weights`, DINOv2 `init_weights_vit_timm`). Every
 * parameter has a stream of its own, so a further parameter leaves the others as they are.
 */
export function initialParameters(config: VitConfig, rng: Rng): Record<string, HostTensor> {
  const streams = namedStreams(rng);
  return Object.fromEntries(
    parametersOf(config).map(({ name, shape, start }): [string, HostTensor] => [
      name,
      { shape, dtype: 'f32', data: draw(start, sizeOf(shape), streams(name)) },
    ]),
  );
}

/**
 * Whether every parameter is there with its shape; further ones are nobody's business here.
 *
 * @throws SslError `SHAPE_MISMATCH` listing missing and mis-shaped names
 */
export function checkParameters(where: string, specs: Specs, parameters: VitParameters): void {
  const missing = Object.keys(specs).filter((name) => !Object.hasOwn(parameters, name));
  const wrong = Object.entries(specs)
    .filter(([name, { shape }]) => Object.hasOwn(parameters, name) && !sameShape(shape, parameters[name].shape))
    .map(([name, { shape }]) => `${name} ${formatShape(parameters[name].shape)} for ${formatShape(shape)}`);
  if (missing.length + wrong.length === 0) return;
  const list = (label: string, names: readonly string[]): string[] =>
    names.length === 0
      ? []
      : [`${label} ${names.slice(0, 4).join('; ')}${names.length > 4 ? ` and ${names.length - 4} more` : ''}`];
  throw new SslError('SHAPE_MISMATCH', {
    where,
    expected: `the ${Object.keys(specs).length} parameters of this configuration`,
    got: [...list('missing', missing), ...list('mis-shaped', wrong)].join(', '),
    fix: 'pass parameters by their names without prefix, made for the same configuration (see parameterSpecs)',
    details: { missing, wrong },
  });
}
