import { describe, expect, it } from 'vitest';
import { encodeCompileOptions } from '../../src/pjrt/compile-options.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('compile options', () => {
  it('asks for one replica and one partition', () => {
    // Field 3 (build options): fields 4 and 5 (replicas, partitions) are 1.
    expect(hex(encodeCompileOptions({ devices: 1 }))).toBe('1a0420012801');
  });

  it('partitions with SPMD and Shardy over several devices', () => {
    // Fields 6 (SPMD) and 19 (Shardy) too.
    expect(hex(encodeCompileOptions({ devices: 200 }))).toBe('1a0a' + '2001' + '28c801' + '3001' + '980101');
  });

  it('writes overrides of every kind, by name', () => {
    const overrides = { t: 'ab', b: true, i: -1, r: 0.5 };
    const bytes = hex(encodeCompileOptions({ devices: 1, overrides }));
    expect(bytes).toBe(
      '1a0420012801' +
        // Entries of a map (field 7): 1 is the name, 2 the value.
        '3a07' +
        '0a0162' +
        '12021001' +
        '3a10' +
        '0a0169' +
        '120b18ffffffffffffffffff01' +
        '3a0e' +
        '0a0172' +
        '120921000000000000e03f' +
        '3a09' +
        '0a0174' +
        '12040a026162',
    );
    const reversed = Object.fromEntries(Object.entries(overrides).reverse());
    expect(hex(encodeCompileOptions({ devices: 1, overrides: reversed }))).toBe(bytes);
  });
});
