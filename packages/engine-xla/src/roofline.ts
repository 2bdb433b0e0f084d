import type { GpuTarget } from './gpu-target.js';

/** What a step costs on one device. */
export interface StepCost {
  /** Floating-point operations. */
  readonly flops: number;
  /** Those of them that are products of rounded factors; 0 in float32. */
  readonly bf16Flops: number;
  /** Bytes between memory and processors. */
  readonly bytes: number;
}

/** The shortest time that a step can take, and what sets it. */
export interface Roofline {
  readonly seconds: number;
  readonly limit: 'float32 arithmetic' | 'bfloat16 products' | 'memory';
}

/**
 * Roofline lower bound (Williams et al., 2009): each unit of the device at its peak rate, all at the same time. What
 * devices tell each other is not in it, and no program reaches it.
 */
export function roofline({ flops, bf16Flops, bytes }: StepCost, { peakFlops, memoryBandwidth }: GpuTarget): Roofline {
  const bounds: readonly Roofline[] = [
    { limit: 'float32 arithmetic', seconds: (flops - bf16Flops) / peakFlops.f32 },
    { limit: 'bfloat16 products', seconds: bf16Flops / peakFlops.bf16 },
    { limit: 'memory', seconds: bytes / memoryBandwidth },
  ];
  return bounds.reduce((a, b) => (b.seconds > a.seconds ? b : a));
}
