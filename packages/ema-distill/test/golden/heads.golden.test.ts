import { fixtureCases } from '@selfsup/test-kit';
import { describe, expect, it } from 'vitest';
import { below, checkEagerly } from '@selfsup/test-kit/golden-case';
import { headCases, headOf } from './heads.cases.js';

describe.each(fixtureCases('ssl/heads'))('$name', (fixture) => {
  const head = headOf(fixture);
  const params = below(fixture, 'param/');

  it('has the parameters of the state dict', () => {
    const shapes = Object.fromEntries(Object.entries(head.parameterSpecs()).map(([name, { shape }]) => [name, shape]));
    expect(shapes).toEqual(Object.fromEntries(Object.entries(params).map(([name, { shape }]) => [name, shape])));
    // SimDINO's own head keeps the option, but has nothing to freeze.
    expect(head.frozenParameters).toEqual(fixture.json['frozen']);
    const trained = Object.keys(params).filter((name) => !head.frozenParameters.includes(name));
    expect(Object.keys(below(fixture, 'grad/')).sort()).toEqual(trained.sort());
  });

  it.each(headCases(fixture))('gives the same $name', checkEagerly);
});
