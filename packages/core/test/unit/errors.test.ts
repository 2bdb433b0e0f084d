import { describe, expect, it, vi } from 'vitest';
import { SslError } from '../../src/index.js';

const init = { where: 'ops.cholesky', expected: 'square matrices', got: '[2, 3]', fix: 'pass a symmetric matrix' };

describe('SslError', () => {
  it('says where, what was expected, what came, and the fix', () => {
    const cause = new Error('inner');
    const error = new SslError('SHAPE_MISMATCH', { ...init, details: { shape: [2, 3] }, cause });
    expect(error.message).toBe('ops.cholesky: expected square matrices, got [2, 3]. Fix: pass a symmetric matrix.');
    expect(error).toMatchObject({ name: 'SslError', code: 'SHAPE_MISMATCH', details: { shape: [2, 3] }, cause });
    expect(error).toBeInstanceOf(Error);
    expect(new SslError('BAD_DATA', init).details).toEqual({});
    expect('cause' in new SslError('BAD_DATA', init)).toBe(false);
  });

  it('is recognised when thrown by another copy of the package', async () => {
    vi.resetModules();
    const other = await import('../../src/errors.js');
    expect(other.SslError).not.toBe(SslError);
    const foreign = new other.SslError('BAD_OPTION', init);
    expect(foreign).not.toBeInstanceOf(SslError);
    expect(SslError.is(foreign)).toBe(true);
    expect(other.SslError.is(new SslError('BAD_OPTION', init))).toBe(true);
  });

  it.each([undefined, null, 'SslError', {}, new Error('no'), { code: 'BAD_OPTION', name: 'SslError' }])(
    'is not %o',
    (value) => expect(SslError.is(value)).toBe(false),
  );

  it('does not carry its mark into JSON or key lists', () => {
    expect(Object.getOwnPropertySymbols({ ...new SslError('BAD_DATA', init) })).toEqual([]);
  });
});
