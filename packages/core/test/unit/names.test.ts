import { describe, expect, it } from 'vitest';
import { nearestName, pickNamed, SslError } from '../../src/index.js';

const RECIPES = ['simdino', 'simdinov2', 'dino', 'dinov2'];

describe('nearestName', () => {
  it.each([
    ['simdion', 'simdino'],
    ['SimDINO', 'simdino'],
    ['simdino-v2', 'simdinov2'],
    ['dnio', 'dino'],
    ['sim', 'simdino'],
    ['dino2', 'dino'],
  ])('suggests for %s %s', (name, expected) => expect(nearestName(name, RECIPES)).toBe(expected));

  it('suggests nothing when nothing looks alike', () => {
    expect(nearestName('resnet-fifty', RECIPES)).toBeUndefined();
    expect(nearestName('dino', [])).toBeUndefined();
  });

  it('lets as many letters differ as it is told', () => {
    expect(nearestName('nope', ['home'])).toBe('home');
    expect(nearestName('nope', ['home'], () => 1)).toBeUndefined();
  });
});

describe('pickNamed', () => {
  it('gives what the name stands for', () => {
    expect(pickNamed('recipes.recipe', 'a recipe', 'dino', { dino: 1, simdino: 2 })).toBe(1);
  });

  it('names the nearest and all known ones', () => {
    const pick = (): unknown => pickNamed('recipes.recipe', 'a recipe', 'simdion', { dino: 1, simdino: 2 });
    expect(pick).toThrow(SslError);
    expect(pick).toThrow(
      'recipes.recipe: expected a recipe (one of dino, simdino), got "simdion". Fix: did you mean "simdino".',
    );
    try {
      pick();
    } catch (error) {
      expect(error).toMatchObject({
        code: 'UNKNOWN_NAME',
        details: { name: 'simdion', known: ['dino', 'simdino'], nearest: 'simdino' },
      });
    }
  });

  it('lists the names when none is near, with the code asked for', () => {
    const pick = (): unknown => pickNamed('selfsup.train', 'an option', 'zzzzzzzz', { lr: 1 }, 'BAD_OPTION');
    expect(pick).toThrow('Fix: use one of lr.');
    expect(pick).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }));
  });

  it.each(['toString', '__proto__', 'constructor'])('does not find %s in a table without it', (name) => {
    expect(() => pickNamed('x', 'a thing', name, { a: 1 })).toThrow(SslError);
  });
});
