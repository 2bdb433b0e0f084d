import { SslError } from '@selfsup/core';
import fc from 'fast-check';
import { propertyOptions } from '@selfsup/test-kit';
import { describe, expect, it } from 'vitest';
import { addPlugin } from '../../../src/plugins/install.js';
import { architecturesOf, downloadSize, isRuntime, PLUGINS, wheelsFor } from '../../../src/plugins/catalog.js';
import { wheelOf } from '../../../src/plugins/wheels.js';
import { MACHINE } from '../../support/wheels.js';

const all = Object.values(PLUGINS);

describe('the catalogue', () => {
  it('has each wheel once, with a whole hash', () => {
    const wheels = all.flatMap((spec) => spec.wheels);
    for (const { file, sha256, bytes } of wheels) {
      expect(sha256, file).toMatch(/^[0-9a-f]{64}$/);
      expect(bytes, file).toBeGreaterThan(1e6);
    }
    expect(new Set(wheels.map(({ sha256 }) => sha256)).size).toBe(wheels.length);
  });

  it.each(all)('$name has the same packages for every processor, one of them the plugin', (spec) => {
    const architectures = (['x64', 'arm64'] as const).filter((name) => architecturesOf(spec).includes(name));
    const [first, ...others] = architectures.map((architecture) =>
      wheelsFor(spec, { ...MACHINE, architecture }).map((wheel) => `${wheel.package} ${wheel.version}`),
    );
    expect(first.length).toBeGreaterThan(0);
    for (const other of others) expect(other).toEqual(first);
    expect(first.filter((name) => name.includes('pjrt'))).toEqual([expect.stringContaining(` ${spec.version}`)]);
    expect(spec.wheels.length).toBe(architectures.length * first.length);
  });

  it.each(all)('$name asks for runtime libraries exactly when it is for NVIDIA', (spec) => {
    const { downloadBytes, runtimeBytes } = downloadSize(wheelsFor(spec, MACHINE));
    expect(downloadBytes).toBeGreaterThan(5e7);
    expect(runtimeBytes > 0).toBe(spec.nvidia !== undefined);
    expect(spec.wheels.some(isRuntime)).toBe(spec.nvidia !== undefined);
  });

  it('suggests the nearest name', async () => {
    const error: unknown = await addPlugin('cdua13').catch((cause: unknown) => cause);
    expect(SslError.is(error) && error.code).toBe('UNKNOWN_NAME');
    expect(String(error)).toContain('did you mean "cuda13"');
  });
});

describe('the name of a wheel', () => {
  it('tells package, version and platforms', () => {
    const word = fc.stringMatching(/^[a-z][a-z0-9]{0,7}$/);
    const words = fc.array(word, { minLength: 1, maxLength: 4 });
    const version = fc.array(fc.nat(99), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(words, version, words, (name, numbers, platforms) => {
        const file = `${name.join('_')}-${numbers.join('.')}-py3-none-${platforms.join('.')}.whl`;
        expect(wheelOf(file, 1, '')).toMatchObject({
          package: name.join('-'),
          version: numbers.join('.'),
          platforms,
        });
      }),
      propertyOptions(),
    );
  });
});
