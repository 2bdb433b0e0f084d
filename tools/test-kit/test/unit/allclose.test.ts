import { describe, expect, it } from 'vitest';
import { notCloseReason } from '../../src/index.js';

describe('toBeAllclose', () => {
  it('takes numbers, arrays, typed arrays, nested arrays and tensors', () => {
    expect(1).toBeAllclose(1 + 1e-7);
    expect([1, 2]).toBeAllclose(new Float32Array([1, 2]));
    expect([[1], [2]]).toBeAllclose([1, 2]);
    expect({ shape: [2], data: [1, 2] }).toBeAllclose({ shape: [2], data: [1, 2] });
  });

  it.each([
    ['another shape', { shape: [1, 2], data: [1, 2] }, { shape: [2], data: [1, 2] }, {}, /shape/],
    ['another length', [1], [1, 2], {}, /1 numbers instead of 2/],
    ['NaN', [NaN], [NaN], {}, /actual\[0\] is NaN/],
    ['Infinity', [Infinity], [Infinity], {}, /Infinity/],
    ['expected NaN', [1], [NaN], {}, /expected\[0\]/],
    ['an element too far off', [1, 1.1], [1, 1], {}, /\[1\] is 1.1/],
    ['a small element off its own size', [100, 1.001], [100, 1], {}, /\[1\]/],
    ['maxRel exceeded', [100.2, 1], [100, 1], { maxRel: 1e-3 }, /largest error/],
    ['maxRel against zeros', [1e-9], [0], { maxRel: 1e-3 }, /largest error/],
    ['maxRms exceeded', [1, 1.1], [1, 1], { maxRms: 1e-2 }, /norm of the error/],
  ] as const)('refuses %s', (_, actual, expected, options, message) => {
    expect(notCloseReason(actual, expected, options)).toMatch(message);
    expect(() => expect(actual).toBeAllclose(expected, options)).toThrow(message);
  });

  it('with maxRel measures against the largest value', () => {
    expect([100.05, 1.05]).toBeAllclose([100, 1], { maxRel: 1e-3 });
    expect([1e-9]).toBeAllclose([0], { maxRel: 1e-3, atol: 1e-8 });
  });

  it('accepts nothing against nothing', () => {
    expect([]).toBeAllclose([]);
  });
});
