import { SslError } from '@selfsup/core';
import { propertyOptions } from '@selfsup/test-kit';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareParameters, selectParameters } from '../../src/index.js';

const shaped = (...shape: number[]): { shape: number[] } => ({ shape });

function mismatch(run: () => void): SslError {
  try {
    run();
  } catch (error) {
    if (SslError.is(error)) return error;
  }
  throw new Error('expected an SslError');
}

describe('selectParameters', () => {
  test('takes the prefix off', () => {
    expect(selectParameters({ 'a.b.x': 1, 'a.c': 2, x: 3 }, 'a.')).toEqual({ 'b.x': 1, c: 2 });
  });

  test('throws when nothing matches and says what there is', () => {
    const error = mismatch(() =>
      selectParameters({ 'teacher.head.w': 1, 'student.backbone.v': 2, w: 3 }, 'teacher.backbone.'),
    );
    expect(error.code).toBe('NO_PARAMS_MATCHED');
    expect(error.message).toContain('names that begin with teacher.head., student.backbone., w');
    expect(mismatch(() => selectParameters({}, 'a')).message).toContain('no parameters at all');
  });
});

describe('compareParameters', () => {
  const model = { cls_token: shaped(1, 1, 8), pos_embed: shaped(1, 5, 8), 'norm.weight': shaped(8) };

  test('accepts the same names and shapes, in any order, and optional ones that are missing', () => {
    compareParameters(model, Object.fromEntries(Object.entries(model).reverse()));
    compareParameters({ ...model, mask_token: shaped(1, 8) }, model, { optional: ['mask_token'] });
  });

  test('lists everything that is wrong in one error', () => {
    const got = { cls_token: shaped(1, 1, 16), pos_embed: shaped(1, 5, 8), register_tokens: shaped(1, 4, 8) };
    const error = mismatch(() => compareParameters(model, got, { source: 'runs/a' }));
    expect(error.code).toBe('CHECKPOINT_MISMATCH');
    expect(error.message).toContain('the 3 parameters of the model in runs/a');
    expect(error.message).toContain(
      'missing norm.weight; unexpected register_tokens; mis-shaped cls_token [1, 1, 16] instead of [1, 1, 8]',
    );
    expect(error.message).toContain('use the architecture');
    expect(error.details).toEqual({
      missing: ['norm.weight'],
      unexpected: ['register_tokens'],
      misshaped: [{ name: 'cls_token', expected: [1, 1, 8], got: [1, 1, 16] }],
    });
  });

  test('a prefix too many is recognised', () => {
    const got = Object.fromEntries(Object.entries(model).map(([name, value]) => [`teacher.backbone.${name}`, value]));
    expect(mismatch(() => compareParameters(model, got)).message).toContain('begin with "teacher.backbone."');
  });

  test('the message stays short for many names, the details are complete', () => {
    const many = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`w${i}`, shaped(1)]));
    const error = mismatch(() => compareParameters(many, {}));
    expect(error.message.length).toBeLessThan(400);
    expect(error.message).toContain('and 195 more');
    expect(error.details['missing']).toHaveLength(200);
  });

  test('throws if and only if something differs', () => {
    const map = fc.dictionary(
      fc.constantFrom('a', 'b', 'c'),
      fc.array(fc.nat(2), { maxLength: 2 }).map((shape) => ({ shape })),
    );
    fc.assert(
      fc.property(map, map, (expected, got) => {
        const same = JSON.stringify(Object.entries(expected).sort()) === JSON.stringify(Object.entries(got).sort());
        const compare = (): void => compareParameters(expected, got);
        if (same) compare();
        else expect(compare).toThrow(/checkpoint.compareParameters/);
      }),
      propertyOptions(200),
    );
  });
});
