import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { dataDirectory, fixtureCases, propertyOptions } from '../../src/index.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'test-kit-'));
  mkdirSync(join(root, 'ssl/heads'), { recursive: true });
  const groups = { output: { recommended_rel: 1e-6, recommended_rms_rel: 1e-7 } };
  const one = { fixture: 'heads', hyper: { width: 3 }, tolerance: { groups }, scalars: { loss: { f64: 0.25 } } };
  writeFileSync(join(root, 'ssl/heads/one.json'), JSON.stringify(one));
  writeFileSync(join(root, 'ssl/heads/two.json'), JSON.stringify({ fixture: 'heads', hyper: { width: 4 } }));
  writeFileSync(join(root, 'ssl/heads/data.json'), JSON.stringify([1, 2]));
  vi.stubEnv('SELFSUP_FIXTURES', root);
  vi.stubEnv('SELFSUP_DATA', root);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true });
});

describe('fixtureCases', () => {
  it('lists every fixture of a folder, and not their data', () => {
    expect(fixtureCases('ssl/heads').map((fixture) => fixture.name)).toEqual(['ssl/heads/one', 'ssl/heads/two']);
    expect(fixtureCases('ssl').length).toBe(2);
    expect(fixtureCases('ssl/heads', (json) => json['hyper'].width === 4).length).toBe(1);
  });

  it('throws when there is none', () => {
    expect(() => fixtureCases('ssl/knn')).toThrow(/no matching fixture/);
    expect(() => fixtureCases('ssl/heads', () => false)).toThrow(/no matching fixture/);
  });

  it('gives tolerances and scalars by name, and says what there is instead', () => {
    const [one] = fixtureCases('ssl/heads');
    expect(one.tolerance('output')).toBe(1e-6);
    expect(one.rmsTolerance('output')).toBe(1e-7);
    expect(one.scalar('loss')).toBe(0.25);
    expect(() => one.tolerance('outputs')).toThrow(/"outputs".*output/);
    expect(() => one.scalar('los')).toThrow(/"los"/);
  });
});

describe('dataDirectory', () => {
  it('finds parts, and says which one is missing', () => {
    expect(dataDirectory('ssl', 'heads')).toBe(join(root, 'ssl/heads'));
    if (process.env['CI'] === 'true') {
      expect(() => dataDirectory('photos')).toThrow(/photos is missing/);
    } else {
      const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
      expect(dataDirectory('photos')).toBeUndefined();
      expect(warn).toHaveBeenCalledWith(expect.stringMatching(/photos is missing/));
      warn.mockRestore();
    }
  });
});

describe('propertyOptions', () => {
  it('takes seed and runs from the environment', () => {
    vi.stubEnv('FC_SEED', '7');
    vi.stubEnv('FC_NUM_RUNS', '');
    expect(propertyOptions(9)).toEqual({ seed: 7, numRuns: 9 });
    vi.stubEnv('FC_SEED', 'x');
    expect(() => propertyOptions()).toThrow(/FC_SEED/);
  });
});
