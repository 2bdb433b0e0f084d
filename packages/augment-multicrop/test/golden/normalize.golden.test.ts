import { fixtureCases, type FixtureTensor } from '@selfsup/test-kit';
import { describe, expect, it } from 'vitest';
import { normalize } from '../../src/index.js';

/** [C, H, W] to [H, W, C]. */
function channelsLast({ shape: [c, h, w], data }: FixtureTensor): Float32Array {
  return Float32Array.from({ length: c * h * w }, (_, i) => data[(i % c) * h * w + Math.floor(i / c)]);
}

describe.each(fixtureCases('augment/normalize'))('$name', (fixture) => {
  const inputs = Object.keys(fixture.tensors()).filter((name) => name.startsWith('in'));

  it.each(inputs)('%s', (name) => {
    const { shape, data } = fixture.tensor(name);
    const image = { data: data as Uint8Array, height: shape[0], width: shape[1] };
    const actual = normalize(image, fixture.json['parameters']);
    expect(actual).toBeAllclose(channelsLast(fixture.tensor(name.replace('in', 'out'))), { rtol: 0, atol: 2e-6 });
  });
});
