import { SslError } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';

/** A number fixed when a step is built, or a scalar tensor that may change from step to step. */
export type NumberOrScalar = number | tf.Scalar;

/**
 * How the coding rate is weighed against the compression term: `code` is 1/n + 1/d as in the authors' programs,
 * `theory` is sqrt(eps n / (d min(d, n))), which balances the bounds of the two gradients, a number is taken as it is.
 */
export type GammaRule = 'code' | 'theory' | number;

/** Published value of the coding rate's eps (it plays the part of the squared distortion of the rate's formula). */
export const CODING_RATE_EPS = 0.05;

/** What alpha and gamma depend on. */
export interface Strength {
  /** Features in the whole reference batch, over all groups: n. */
  readonly batchSize: number;
  /** Width of the features: d. */
  readonly width: number;
  /** eps of the coding rate, greater than 0; {@link CODING_RATE_EPS} by default. */
  readonly codingRateEps?: number;
}

/** Refuses an eps that is not a positive number; tensors are taken on trust, since reading them would break a trace. */
export function checkEps(where: string, eps: NumberOrScalar): void {
  if (typeof eps !== 'number' || (eps > 0 && Number.isFinite(eps))) return;
  throw new SslError('BAD_OPTION', {
    where: `loss-coding-rate.${where}`,
    expected: 'codingRateEps > 0',
    got: `${eps}`,
    fix: `pass a positive codingRateEps, e.g. the published ${CODING_RATE_EPS}`,
    details: { codingRateEps: eps },
  });
}

function checkBatch(where: string, batchSize: number): void {
  if (batchSize > 0 && Number.isFinite(batchSize)) return;
  throw new SslError('BAD_OPTION', {
    where: `loss-coding-rate.${where}`,
    expected: 'a reference batch of at least one image',
    got: `${batchSize}`,
    fix: 'pass the number of images of the whole batch, over all groups and micro-batches',
    details: { batchSize },
  });
}

/**
 * Weight of the covariance in the coding rate, alpha = d / (n eps).
 *
 * @throws SslError `BAD_OPTION` for an eps or a batch that is not positive
 */
export function alphaOf({ batchSize, width, codingRateEps = CODING_RATE_EPS }: Strength): number {
  checkEps('alphaOf', codingRateEps);
  checkBatch('alphaOf', batchSize);
  return width / (batchSize * codingRateEps);
}

/**
 * Weight of the coding rate in the loss, gamma.
 *
 * @throws SslError `BAD_OPTION` for an eps or a batch that is not positive, or a gamma that is neither a rule nor a finite number
 */
export function gammaOf(
  { batchSize, width, codingRateEps = CODING_RATE_EPS }: Strength,
  rule: GammaRule = 'code',
): number {
  checkEps('gammaOf', codingRateEps);
  checkBatch('gammaOf', batchSize);
  if (rule === 'code') return 1 / batchSize + 1 / width;
  if (rule === 'theory') return Math.sqrt(codingRateEps * theoryFactor(batchSize, width));
  if (Number.isFinite(rule)) return rule;
  throw new SslError('BAD_OPTION', {
    where: 'loss-coding-rate.gammaOf',
    expected: `gamma 'code', 'theory' or a finite number`,
    got: JSON.stringify(rule),
    fix: `pass 'code' for the authors' 1/n + 1/d`,
    details: { gamma: rule },
  });
}

/** alpha for an eps that may be a tensor; the caller owns the tensor. */
export function alphaFor(batchSize: number, width: number, eps: NumberOrScalar): NumberOrScalar {
  if (typeof eps === 'number') return alphaOf({ batchSize, width, codingRateEps: eps });
  return tf.div<tf.Scalar>(alphaOf({ batchSize, width, codingRateEps: 1 }), eps);
}

/** gamma for an eps that may be a tensor; the caller owns the tensor. */
export function gammaFor(batchSize: number, width: number, eps: NumberOrScalar, rule: GammaRule): NumberOrScalar {
  if (typeof eps === 'number') return gammaOf({ batchSize, width, codingRateEps: eps }, rule);
  if (rule === 'theory') return tf.sqrt(tf.mul<tf.Scalar>(eps, theoryFactor(batchSize, width)));
  return gammaOf({ batchSize, width }, rule);
}

/** Squared theory gamma for eps 1. */
function theoryFactor(batchSize: number, width: number): number {
  return batchSize / (width * Math.min(width, batchSize));
}
