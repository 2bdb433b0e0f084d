import { describe, expect, it } from 'vitest';
import {
  bytesOf,
  checkArrays,
  checkShape,
  formatShape,
  hostArray,
  sameShape,
  sizeOf,
  SslError,
  type Specs,
} from '../../src/index.js';

function thrownBy(action: () => unknown): SslError {
  try {
    action();
  } catch (error) {
    if (SslError.is(error)) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('shapes', () => {
  it('counts elements and bytes', () => {
    expect(sizeOf([2, 3, 4])).toBe(24);
    expect(sizeOf([])).toBe(1);
    expect(sizeOf([2, 0])).toBe(0);
    expect((['f32', 'i32', 'bool', 'u8'] as const).map(bytesOf)).toEqual([4, 4, 1, 1]);
  });

  it('makes zeroed arrays of the right kind', () => {
    expect(hostArray({ shape: [2], dtype: 'f32' })).toEqual(new Float32Array(2));
    expect(hostArray({ shape: [2], dtype: 'i32' })).toEqual(new Int32Array(2));
    expect(hostArray({ shape: [2], dtype: 'bool' })).toEqual(new Uint8Array(2));
    expect(hostArray({ shape: [], dtype: 'u8' })).toEqual(new Uint8Array(1));
  });

  it('compares and prints', () => {
    expect(sameShape([2, 3], [2, 3])).toBe(true);
    expect(sameShape([2, 3], [2])).toBe(false);
    expect(sameShape([2, 3], [3, 2])).toBe(false);
    expect(formatShape([2, 3])).toBe('[2, 3]');
    expect(formatShape([])).toBe('[]');
  });
});

describe('checkShape', () => {
  it('gives the sizes of the letters', () => {
    expect(checkShape('f', 'x', { shape: [2, 3, 3] }, ['B', 'N', 'N'])).toEqual({ B: 2, N: 3 });
    expect(checkShape('f', 'x', { shape: [7, 2, 3, 3] }, ['...', 'N', 'N'])).toEqual({ N: 3 });
    expect(checkShape('f', 'x', { shape: [3, 3] }, ['...', 'N', 'N'])).toEqual({ N: 3 });
    expect(checkShape('f', 'x', { shape: [2, 4] }, ['B', 4], { B: 2 })).toEqual({ B: 2 });
  });

  it.each([
    ['another rank', [2, 3, 1], ['B', 'D']],
    ['too few dimensions under ...', [3], ['...', 'N', 'N']],
    ['another number', [2, 3], ['B', 4]],
    ['one letter for two sizes', [2, 3], ['N', 'N']],
  ])('refuses %s', (_, shape, pattern) => {
    const error = thrownBy(() => checkShape('ops.f', 'x', { shape }, pattern));
    expect(error.code).toBe('SHAPE_MISMATCH');
    expect(error.message).toContain(`got ${formatShape(shape)}. Fix: pass x with that shape`);
    expect(error.details).toEqual({ name: 'x', shape, pattern });
  });

  it('carries letters from one argument to the next, and names their sizes in the message', () => {
    const known = checkShape('ops.f', 'x', { shape: [2, 3] }, ['B', 'D']);
    const error = thrownBy(() => checkShape('ops.f', 'y', { shape: [4, 3] }, ['B', 'D'], known));
    expect(error.message).toContain('y of shape [B=2, D=3]');
  });
});

describe('checkArrays', () => {
  const specs: Specs = { w: { shape: [2, 2], dtype: 'f32' }, n: { shape: [], dtype: 'i32' } };

  it('accepts exactly the named arrays', () => {
    expect(() => checkArrays('compile.run', { w: new Float32Array(4), n: new Int32Array(1) }, specs)).not.toThrow();
    expect(() => checkArrays('compile.run', {}, {})).not.toThrow();
  });

  it('lists what is missing, unexpected and mis-shaped in one message', () => {
    const error = thrownBy(() => checkArrays('compile.run', { w: new Float32Array(3), m: new Int32Array(1) }, specs));
    expect(error.code).toBe('SHAPE_MISMATCH');
    expect(error.message).toContain('missing n, unexpected m, mis-shaped w: Float32Array(3) for f32 [2, 2]');
    expect(error.details).toMatchObject({ missing: ['n'], unexpected: ['m'] });
  });

  it('refuses another kind of array of the right length', () => {
    expect(() => checkArrays('f', { w: new Int32Array(4), n: new Int32Array(1) }, specs)).toThrow(/Int32Array\(4\)/);
    expect(() =>
      checkArrays('f', { m: new Int8Array(1) as unknown as Uint8Array }, { m: { shape: [], dtype: 'u8' } }),
    ).toThrow(/Int8Array/);
  });

  it('does not print hundreds of names', () => {
    const many: Specs = Object.fromEntries(
      Array.from({ length: 300 }, (_, i) => [`p${i}`, { shape: [1], dtype: 'f32' }]),
    );
    expect(thrownBy(() => checkArrays('f', {}, many)).message).toContain('p5 and 294 more');
  });
});
