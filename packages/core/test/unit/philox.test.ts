import { describe, expect, it } from 'vitest';
import { philox4x32 } from '../../src/index.js';

const words = (text: string): Uint32Array => Uint32Array.from(text.split(' '), (word) => parseInt(word, 16));

/** Known-answer vectors of Random123 (kat_vectors, philox4x32 10). */
const KNOWN = [
  {
    name: 'zeros',
    counter: '00000000 00000000 00000000 00000000',
    key: '00000000 00000000',
    block: '6627e8d5 e169c58d bc57ac4c 9b00dbd8',
  },
  {
    name: 'ones',
    counter: 'ffffffff ffffffff ffffffff ffffffff',
    key: 'ffffffff ffffffff',
    block: '408f276d 41c83b0e a20bc7c6 6d5451fd',
  },
  {
    name: 'digits of pi',
    counter: '243f6a88 85a308d3 13198a2e 03707344',
    key: 'a4093822 299f31d0',
    block: 'd16cfe09 94fdcceb 5001e420 24126ea1',
  },
];

describe('philox4x32', () => {
  it.each(KNOWN)('gives the published block for $name', ({ counter, key, block }) => {
    const [key0, key1] = words(key);
    const input = words(counter);
    const out = new Uint32Array(4);
    philox4x32(input, key0, key1, out);
    expect(out).toEqual(words(block));
    expect(input).toEqual(words(counter));
  });
});
