import type { DType } from '@selfsup/core';

/** Index of a value in {@link Graph.values}. */
export type ValueId = number;

/** Where a value comes from and where it goes: a step's state, its batch, or neither. */
export type Role = 'state' | 'batch' | 'constant' | 'intermediate';

/** Element type inside a graph. `u8` inputs are seen as i32 by the step; `i64` never appears. */
export type GraphDType = Exclude<DType, 'u8'>;

/** One value of the graph (static single assignment). */
export interface Value {
  readonly id: ValueId;
  readonly shape: readonly number[];
  readonly dtype: GraphDType;
  readonly role: Role;
  /** Name of an input (state or batch), or a debug name. */
  readonly name: string;
  /** Element type at the boundary; differs from `dtype` for u8 inputs only. */
  readonly boundary?: DType;
  /** Elements of a constant; a single element stands for a splat of the whole shape. */
  readonly data?: Float32Array | Int32Array | Uint8Array;
}

/** Attribute values of a node: plain data only, so that graphs can be printed, hashed and compared. */
export type Attribute = number | boolean | string | readonly number[];

/** One operation. */
export interface Node {
  readonly op: Op;
  readonly inputs: readonly ValueId[];
  readonly outputs: readonly ValueId[];
  readonly attrs: Readonly<Record<string, Attribute>>;
}

/** A named result: `state:` results replace the state of the same name, `metric:` results are handed to the caller. */
export interface Result {
  readonly kind: 'state' | 'metric';
  readonly name: string;
  readonly value: ValueId;
}

/** A traced computation: inputs, nodes in execution order, results. */
export interface Graph {
  readonly name: string;
  readonly values: readonly Value[];
  readonly inputs: readonly ValueId[];
  readonly nodes: readonly Node[];
  readonly results: readonly Result[];
}

/**
 * The closed set of primitives, named as in StableHLO.
 * Two-argument element-wise operations broadcast as numpy does (right-aligned, size 1 stretches).
 *
 * | primitives | attributes |
 * | --- | --- |
 * | add subtract multiply divide maximum minimum power remainder atan2 | |
 * | and or xor (bool) | |
 * | compare -> bool | direction: EQ NE LT LE GT GE |
 * | select(pred, a, b), broadcasting | |
 * | negate abs sign exponential exponential_minus_one log log_plus_one sqrt rsqrt floor ceil round_nearest_even | |
 * | erf tanh logistic sine cosine tan asin acos atan sinh cosh asinh acosh atanh not is_finite | |
 * | convert | the result's dtype |
 * | reshape, broadcast_in_dim (numpy broadcast to the result's shape) | |
 * | transpose | permutation |
 * | slice | start, limit, strides |
 * | pad | low, high, value |
 * | concatenate | dimension |
 * | reverse | dimensions |
 * | dot_general(a, b): batched matrix product [..., M, K] x [..., K, N], batch dimensions broadcast | transposeA, transposeB; precision: highest (also when left out) or default |
 * | reduce | kind: sum max min prod any all; dimensions; keepDims |
 * | argmax, argmin -> i32 | dimension |
 * | cumsum | dimension, exclusive, reverse |
 * | iota -> [n] | (start, step in attrs) |
 * | gather(x, indices i32): take along one axis | dimension |
 * | scatter_add(indices [n] i32 in range, updates [n, ...]): adds updates to rows of a zero tensor | rows |
 * | one_hot(indices) | depth, on, off |
 * | convolution(x NHWC, w HWIO) | strides, dilations, padding [top, bottom, left, right], groups |
 * | convolution_input_grad, convolution_filter_grad | the same |
 * | reduce_window(x NHWC) | kind: max sum; window, strides, padding |
 * | reduce_window_grad | the same |
 * | resize_bilinear, resize_nearest | alignCorners, halfPixelCenters |
 */
export const PRIMITIVES = [
  'add',
  'subtract',
  'multiply',
  'divide',
  'maximum',
  'minimum',
  'power',
  'remainder',
  'atan2',
  'and',
  'or',
  'xor',
  'compare',
  'select',
  'negate',
  'abs',
  'sign',
  'exponential',
  'exponential_minus_one',
  'log',
  'log_plus_one',
  'sqrt',
  'rsqrt',
  'floor',
  'ceil',
  'round_nearest_even',
  'erf',
  'tanh',
  'logistic',
  'sine',
  'cosine',
  'tan',
  'asin',
  'acos',
  'atan',
  'sinh',
  'cosh',
  'asinh',
  'acosh',
  'atanh',
  'not',
  'is_finite',
  'convert',
  'reshape',
  'broadcast_in_dim',
  'transpose',
  'slice',
  'pad',
  'concatenate',
  'reverse',
  'dot_general',
  'reduce',
  'argmax',
  'argmin',
  'cumsum',
  'iota',
  'gather',
  'scatter_add',
  'one_hot',
  'convolution',
  'convolution_input_grad',
  'convolution_filter_grad',
  'reduce_window',
  'reduce_window_grad',
  'resize_bilinear',
  'resize_nearest',
] as const;

/**
 * Composites: an engine that lists one runs it whole; for any other engine the tracer records their definition in
 * primitives instead (the plain-tfjs body in `@selfsup/ops`), so an engine only ever sees what it asked for.
 *
 * | composite | inputs -> outputs | attributes |
 * | --- | --- | --- |
 * | softmax | x -> y, over the last axis | |
 * | softmax_grad | dy, y -> dx | |
 * | gelu | x -> y (exact, erf) | |
 * | gelu_grad | dy, x -> dx | |
 * | layer_norm | x, weight, bias -> y, mean, rstd ([..., 1] each) | epsilon |
 * | layer_norm_grad | dy, x, weight, mean, rstd -> dx, dweight, dbias | |
 * | attention | q [B, H, N, d], k, v [B, H, M, d] -> o [B, H, N, d] | scale |
 * | attention_grad | do, q, k, v, o -> dq, dk, dv | scale |
 * | cholesky | a [..., N, N] symmetric positive definite -> lower factor | |
 * | triangular_solve | a lower [..., N, N], b [..., N, M] -> x | transpose: solve aT x = b |
 * | top_k | x -> values, indices i32 (descending, last axis, ties by lower index) | k |
 */
export const COMPOSITES = [
  'softmax',
  'softmax_grad',
  'gelu',
  'gelu_grad',
  'layer_norm',
  'layer_norm_grad',
  'attention',
  'attention_grad',
  'cholesky',
  'triangular_solve',
  'top_k',
] as const;

export type Primitive = (typeof PRIMITIVES)[number];
export type Composite = (typeof COMPOSITES)[number];
export type Op = Primitive | Composite;
