import type { HostTensor } from '@selfsup/core';

/** A training state in small whose every number is the step. */
export function stateOf(step: number, size = 16): Record<string, HostTensor> {
  const full = (length: number): Float32Array => new Float32Array(length).fill(step);
  return {
    'student.backbone.blocks.0.norm1.weight': { shape: [size], dtype: 'f32', data: full(size) },
    'teacher.backbone.blocks.0.norm1.weight': { shape: [2, size], dtype: 'f32', data: full(2 * size) },
    'adam.m.blocks.0.norm1.weight': { shape: [], dtype: 'f32', data: full(1) },
    'counters.seen': { shape: [2], dtype: 'i32', data: new Int32Array(2).fill(step) },
    'flags.frozen': { shape: [1], dtype: 'bool', data: new Uint8Array(1) },
  };
}
