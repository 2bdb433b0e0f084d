import { fixtureCases } from '@selfsup/test-kit';
import { describe, it } from 'vitest';
import { checkEagerly } from '@selfsup/test-kit/golden-case';
import { dinoLossCases } from './dino-loss.cases.js';

describe.each(fixtureCases('ssl/loss-dino-v1'))('$name', (fixture) => {
  it.each(dinoLossCases(fixture))('gives the same $name', checkEagerly);
});
