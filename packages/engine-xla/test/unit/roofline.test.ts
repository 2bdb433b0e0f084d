import { expect, it } from 'vitest';
import { GPU_TARGETS, roofline } from '../../src/index.js';

it('is set by the unit that is busy longest', () => {
  const { h100 } = GPU_TARGETS;
  const cost = { flops: 67e12, bf16Flops: 0, bytes: h100.memoryBandwidth / 2 };
  expect(roofline(cost, h100)).toEqual({ seconds: 1, limit: 'float32 arithmetic' });
  // The same products in bfloat16: memory takes longer then.
  expect(roofline({ ...cost, bf16Flops: 67e12 }, h100)).toEqual({ seconds: 0.5, limit: 'memory' });
  expect(roofline({ flops: 2 * 989e12, bf16Flops: 2 * 989e12, bytes: 0 }, h100)).toEqual({
    seconds: 2,
    limit: 'bfloat16 products',
  });
});
