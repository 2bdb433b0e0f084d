/**
 * Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 * A stream is named by what it is for, so no draw depends on workers or on the order of calls.
 */

const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;

/** High 32 bits of the product of two unsigned 32-bit integers. */
function mulHigh(a: number, b: number): number {
  const al = a & 0xffff;
  const ah = a >>> 16;
  const bl = b & 0xffff;
  const bh = b >>> 16;
  const mid = ah * bl + ((al * bl) >>> 16);
  const mid2 = al * bh + (mid & 0xffff);
  return (ah * bh + Math.floor(mid / 0x10000) + Math.floor(mid2 / 0x10000)) >>> 0;
}

/** One Philox4x32-10 block: counter (4 words) and key (2 words) to 4 words, written into `out`. */
export function philox4x32(counter: Uint32Array, key0: number, key1: number, out: Uint32Array): void {
  let [c0, c1, c2, c3] = counter;
  let k0 = key0 >>> 0;
  let k1 = key1 >>> 0;
  for (let round = 0; round < 10; round++) {
    const h0 = mulHigh(M0, c0);
    const l0 = Math.imul(M0, c0) >>> 0;
    const h1 = mulHigh(M1, c2);
    const l1 = Math.imul(M1, c2) >>> 0;
    c0 = (h1 ^ c1 ^ k0) >>> 0;
    c1 = l1;
    c2 = (h0 ^ c3 ^ k1) >>> 0;
    c3 = l0;
    k0 = (k0 + W0) >>> 0;
    k1 = (k1 + W1) >>> 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/** FNV-1a, 32 bits. */
function hashName(name: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193) >>> 0;
  return h;
}

/** What a stream is for: a name and up to two numbers each below 2^32 (e.g. epoch, sample), and a third below 2^16 (view). */
export type StreamName = readonly [purpose: string, a?: number, b?: number, c?: number];

/**
 * A seeded stream of random numbers. The same seed and name give the same numbers on every machine, in any order of
 * creation; streams with another name are independent.
 *
 * @example
 * const rng = Rng.of(seed, 'crop', epoch, sample, view);
 * const scale = rng.uniform(0.4, 1);
 */
export class Rng {
  readonly #counter = new Uint32Array(4);
  readonly #block = new Uint32Array(4);
  readonly #key0: number;
  readonly #key1: number;
  #used = 4;
  #spare: number | undefined;

  private constructor(key0: number, key1: number, a: number, b: number, c: number) {
    this.#key0 = key0;
    this.#key1 = key1;
    this.#counter[1] = (c & 0xffff) << 16;
    this.#counter[2] = b;
    this.#counter[3] = a;
  }

  /** The stream of a seed (any safe integer) and a name. */
  static of(seed: number, ...[purpose, a = 0, b = 0, c = 0]: StreamName): Rng {
    const low = seed >>> 0;
    const high = Math.floor(seed / 0x1_0000_0000) >>> 0;
    return new Rng(low, (hashName(purpose) ^ high) >>> 0, a, b, c);
  }

  /** The next 32 random bits. */
  bits(): number {
    if (this.#used === 4) {
      philox4x32(this.#counter, this.#key0, this.#key1, this.#block);
      // Word 0 and the low half of word 1 count blocks: 2^48 of them before a stream could meet another.
      this.#counter[0] = (this.#counter[0] + 1) >>> 0;
      if (this.#counter[0] === 0) this.#counter[1] = (this.#counter[1] + 1) >>> 0;
      this.#used = 0;
    }
    return this.#block[this.#used++];
  }

  /** Uniform in [low, high), 53 bits. */
  uniform(low = 0, high = 1): number {
    const u = ((this.bits() >>> 5) * 0x4000000 + (this.bits() >>> 6)) / 0x20000000000000;
    return low + (high - low) * u;
  }

  /** Uniform integer in [0, n), without bias. */
  integer(n: number): number {
    const limit = 0x1_0000_0000 - (0x1_0000_0000 % n);
    let x = this.bits();
    while (x >= limit) x = this.bits();
    return x % n;
  }

  /** True with probability p. */
  chance(p: number): boolean {
    return this.uniform() < p;
  }

  /** Normal with the given mean and standard deviation (Box-Muller). */
  normal(mean = 0, std = 1): number {
    if (this.#spare !== undefined) {
      const z = this.#spare;
      this.#spare = undefined;
      return mean + std * z;
    }
    const r = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const t = 2 * Math.PI * this.uniform();
    this.#spare = r * Math.sin(t);
    return mean + std * r * Math.cos(t);
  }

  /** A random order of 0..n-1 (Fisher-Yates). */
  permutation(n: number): Uint32Array {
    const p = new Uint32Array(n);
    for (let i = 0; i < n; i++) p[i] = i;
    for (let i = n - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const t = p[i];
      p[i] = p[j];
      p[j] = t;
    }
    return p;
  }

  /** `n` normal draws as float32. */
  normals(n: number, std = 1, mean = 0): Float32Array {
    return Float32Array.from({ length: n }, () => this.normal(mean, std));
  }

  /** `n` uniform draws in [low, high) as float32. */
  uniforms(n: number, low = 0, high = 1): Float32Array {
    return Float32Array.from({ length: n }, () => this.uniform(low, high));
  }
}
