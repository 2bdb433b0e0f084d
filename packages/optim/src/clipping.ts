import { SslError } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensors } from './adamw.js';

/** Largest norm allowed: a number, or a scalar tensor where it follows a schedule. At most 0 means no clipping. */
export type MaxNorm = number | tf.Tensor;

/** Norms before clipping, and what to multiply the gradients by. */
export interface ClipScales {
  /** Float32 scalars by parameter or module name. */
  readonly norms: Record<string, tf.Tensor>;
  /** Float32 scalars of at most 1 by parameter name; empty when clipping is off. */
  readonly scales: Record<string, tf.Tensor>;
}

/** Clipped gradients, and their norms before clipping. */
export interface Clipped {
  readonly norms: Record<string, tf.Tensor>;
  readonly grads: Record<string, tf.Tensor>;
}

/** Added to a norm before dividing by it, as the authors and PyTorch do. */
const NORM_EPSILON = 1e-6;

/**
 * DINO's and SimDINO's clipping (`clip_gradients`): each tensor on its own is scaled by maxNorm / (norm + 1e-6) where
 * that is below 1. For {@link adamW}'s `gradientScales`.
 *
 * @param grads - float32, any shapes, in forward order of the model.
 * @returns one norm and one scale per gradient, owned by the caller
 */
export function clipScalesPerTensor(grads: Tensors, maxNorm: MaxNorm): ClipScales {
  const modules = Object.fromEntries(Object.keys(grads).map((name) => [name, [name]]));
  return clipScales(grads, modules, maxNorm);
}

/**
 * DINOv2's and SimDINOv2's clipping (`clip_grad_norm_` of each sub-module): one norm over all gradients of a module,
 * scale min(1, maxNorm / (norm + 1e-6)). For {@link adamW}'s `gradientScales`.
 *
 * @param modules - Prefixes without the dot, e.g. `['backbone', 'dino_head', 'ibot_head']`; each gradient belongs to
 * exactly one.
 * @returns one norm per module, one scale per gradient, owned by the caller
 * @throws SslError `NO_PARAMS_MATCHED` for a module without gradients or a gradient without module
 */
export function clipScalesPerModule(grads: Tensors, modules: readonly string[], maxNorm: MaxNorm): ClipScales {
  const names = Object.keys(grads);
  const members = Object.fromEntries(
    modules.map((module) => [module, names.filter((name) => name.startsWith(`${module}.`))]),
  );
  const empty = modules.filter((module) => members[module].length === 0);
  const strays = names.filter((name) => !modules.some((module) => members[module].includes(name)));
  if (empty.length + strays.length > 0) {
    throw new SslError('NO_PARAMS_MATCHED', {
      where: 'optim.clipScalesPerModule',
      expected: `every gradient in one of the modules ${modules.join(', ')}, and no module empty`,
      got: [...empty.map((module) => `empty ${module}`), ...strays.map((name) => `stray ${name}`)]
        .slice(0, 6)
        .join(', '),
      fix: 'name the sub-modules of these parameters',
      details: { empty, strays },
    });
  }
  return clipScales(grads, members, maxNorm);
}

/** {@link clipScalesPerTensor}, applied. */
export function clipPerTensor(grads: Tensors, maxNorm: MaxNorm): Clipped {
  return applied(grads, clipScalesPerTensor(grads, maxNorm));
}

/** {@link clipScalesPerModule}, applied. */
export function clipPerModule(grads: Tensors, modules: readonly string[], maxNorm: MaxNorm): Clipped {
  return applied(grads, clipScalesPerModule(grads, modules, maxNorm));
}

/**
 * Whether every number of every tensor is finite: the flag that decides whether a step counts. Give it the losses and
 * the gradients' norms. Sums beyond the float32 range count as not finite.
 *
 * @param tensors - float32, any shapes.
 * @returns bool scalar
 */
export function allFinite(tensors: Tensors): tf.Scalar {
  return tf.tidy(() => {
    // Infinities and NaNs survive any sum, so one test on the total will do.
    let total = tf.scalar(0);
    for (const tensor of Object.values(tensors)) total = tf.add(total, tf.sum<tf.Scalar>(tensor));
    return tf.isFinite(total);
  });
}

function clipScales(grads: Tensors, modules: Readonly<Record<string, string[]>>, maxNorm: MaxNorm): ClipScales {
  const off = typeof maxNorm === 'number' && !(maxNorm > 0);
  return tf.tidy(() => {
    const result: ClipScales = { norms: {}, scales: {} };
    // Backward order, one gradient added after the other: those of the last layers are there first, and an executor that
    // follows this order can let go of activations on the way.
    for (const [module, names] of Object.entries(modules).reverse()) {
      let total: tf.Tensor | undefined;
      for (const name of [...names].reverse()) {
        const squares = tf.sum(tf.square(grads[name]));
        total = total === undefined ? squares : tf.add(total, squares);
      }
      const norm = tf.sqrt(total ?? tf.scalar(0));
      result.norms[module] = norm;
      if (off) continue;
      const scale = scaleFor(norm, maxNorm);
      for (const name of names) result.scales[name] = scale;
    }
    return { ...result };
  });
}

function scaleFor(norm: tf.Tensor, maxNorm: MaxNorm): tf.Tensor {
  const scale = tf.minimum(tf.div(maxNorm, tf.add(norm, NORM_EPSILON)), 1);
  return typeof maxNorm === 'number' ? scale : tf.where(tf.greater(maxNorm, 0), scale, tf.onesLike(scale));
}

function applied(grads: Tensors, { norms, scales }: ClipScales): Clipped {
  const clipped = Object.entries(grads).map(([name, grad]) => {
    return [name, Object.hasOwn(scales, name) ? tf.mul(grad, scales[name]) : tf.clone(grad)] as const;
  });
  tf.dispose(scales);
  return { norms, grads: Object.fromEntries(clipped) };
}
