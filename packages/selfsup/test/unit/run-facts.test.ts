import { resolveConfig } from '@selfsup/recipes';
import { describe, expect, it } from 'vitest';
import { runFacts, runFactsText, shortRunNote } from '../../src/commands/run-facts.js';

const length = { totalSteps: 200, warmupSteps: 100, stepsPerEpoch: 78 };

describe('what a run starts with', () => {
  it('is told one fact a line, short enough for a narrow terminal', () => {
    const { config } = resolveConfig({ recipe: 'simdino', preset: 'imagenet-vitb16' });
    const text = runFactsText(runFacts(config, 10_000, length), 2_500);
    expect(text).toContain('10000 to learn from, 2500 held out');
    expect(text).toContain('8 of 64 pictures');
    expect(text).toContain('2 x 224 + 10 x 96 pixels');
    for (const line of text.split('\n')) expect(line.length).toBeLessThan(80);
  });

  it('warns of a run that ends before its learning rate is up', () => {
    expect(shortRunNote(length)).toBeUndefined();
    expect(shortRunNote({ ...length, totalSteps: 20 })).toContain('--set length.warmupSteps=2');
  });
});
