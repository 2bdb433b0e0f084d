/** A box of 2 * radius + 1 full taps and two partial ones, in 2^24 fixed point. */
export interface BoxBlur {
  readonly radius: number;
  /** Weight of a full tap. */
  readonly whole: number;
  /** Weight of the two end taps. */
  readonly part: number;
}

/** Pillow's number of box passes that stand for a Gaussian. */
export const BOX_PASSES = 3;

/**
 * The box whose third power comes nearest a Gaussian, with Pillow's float32 arithmetic (BoxBlur.c; Gwosdek et al.,
 * "Theoretical foundations of Gaussian convolution by extended box filtering", SSVM 2011). Undefined when nothing is to
 * be done.
 */
export function boxForGaussian(sigma: number): BoxBlur | undefined {
  const f = Math.fround;
  const s = f(sigma);
  const variance = f(f(s * s) / BOX_PASSES);
  const length = f(Math.sqrt(12 * variance + 1));
  const whole = f(Math.floor((length - 1) / 2));
  const squares = f(f(whole + 1) * f(whole + 1));
  const numerator = f(f(2 * whole + 1) * f(f(whole * f(whole + 1)) - f(3 * variance)));
  const radius = f(whole + f(numerator / f(6 * f(variance - squares))));
  if (radius === 0) return undefined;
  const taps = Math.trunc(radius);
  const weight = Math.trunc(f((1 << 24) / f(f(radius * 2) + 1)));
  return { radius: taps, whole: weight, part: ((1 << 24) - (2 * taps + 1) * weight) >> 1 };
}
