import { datasetFrom } from '@selfsup/datasets';
import { propertyOptions } from '@selfsup/test-kit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fixedSelection, subsetOf } from '../../src/index.js';

describe('a selection', () => {
  it('is the same each time, without repeats, and whole where there is room', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 1, max: 300 }), (size, most) => {
        const chosen = fixedSelection(size, most);
        expect(chosen).toEqual(fixedSelection(size, most));
        expect(new Set(chosen).size).toBe(Math.min(size, most));
        for (const index of chosen) expect(index).toBeLessThan(size);
        if (size <= most) expect(chosen).toEqual(Array.from({ length: size }, (_, i) => i));
      }),
      propertyOptions(),
    );
  });

  it('is a data set of its own', async () => {
    const whole = await datasetFrom(
      [0, 1, 2].map((i) => ({ source: { kind: 'file' as const, path: `${i}.png` }, name: `n${i}`, label: i })),
      { classes: ['a', 'b', 'c'] },
    );
    const part = subsetOf(whole, [2, 0]);
    expect([part.size, part.name(0), part.label(1), part.source(0)]).toEqual([
      2,
      'n2',
      0,
      { kind: 'file', path: '2.png' },
    ]);
    expect(part.classes).toBe(whole.classes);
  });
});
