import { SslError } from './errors.js';

/**
 * Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 * A stream is named by what it is for, so no draw depends on workers or on the order of calls.
 */

/** Words drawn at a time; even, so that no pair is cut. */
const RUN_WORDS = 4096;

/**
 * One Philox4x32-10 block: counter (4 words) and key (2 words) to 4 words, written into `out` from index `at`. The 64-bit
 * products are put together from 16-bit halves in doubles, which hold them exactly.
 */
export function philox4x32(counter: Uint32Array, key0: number, key1: number, out: Uint32Array, at = 0): void {
  // Here rather than in the module: bundlers make those variables, and the compiler then multiplies by a loaded value.
  const M0 = 0xd2511f53;
  const M1 = 0xcd9e8d57;
  const W0 = 0x9e3779b9;
  const W1 = 0xbb67ae85;
  const M0_LOW = M0 & 0xffff;
  const M0_HIGH = M0 >>> 16;
  const M1_LOW = M1 & 0xffff;
  const M1_HIGH = M1 >>> 16;
  let c0 = counter[0];
  let c1 = counter[1];
  let c2 = counter[2];
  let c3 = counter[3];
  let k0 = key0 | 0;
  let k1 = key1 | 0;
  for (let round = 0; round < 10; round++) {
    const low0 = c0 & 0xffff;
    const high0 = c0 >>> 16;
    const mid0 = M0_HIGH * low0 + (Math.imul(M0_LOW, low0) >>> 16);
    const cross0 = M0_LOW * high0 + (mid0 & 0xffff);
    const h0 = (M0_HIGH * high0 + ((mid0 / 65536) | 0) + ((cross0 / 65536) | 0)) | 0;
    const low1 = c2 & 0xffff;
    const high1 = c2 >>> 16;
    const mid1 = M1_HIGH * low1 + (Math.imul(M1_LOW, low1) >>> 16);
    const cross1 = M1_LOW * high1 + (mid1 & 0xffff);
    const h1 = (M1_HIGH * high1 + ((mid1 / 65536) | 0) + ((cross1 / 65536) | 0)) | 0;
    const l1 = Math.imul(M1, c2);
    c2 = h0 ^ c3 ^ k1;
    c3 = Math.imul(M0, c0);
    c0 = h1 ^ c1 ^ k0;
    c1 = l1;
    k0 = (k0 + W0) | 0;
    k1 = (k1 + W1) | 0;
  }
  out[at] = c0;
  out[at + 1] = c1;
  out[at + 2] = c2;
  out[at + 3] = c3;
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

  /**
   * The stream of a seed and a name.
   *
   * @param seed - Any safe integer, also a negative one.
   * @throws SslError `BAD_OPTION` for a seed that is none, which would quietly be another seed
   */
  static of(seed: number, ...[purpose, a = 0, b = 0, c = 0]: StreamName): Rng {
    if (!Number.isSafeInteger(seed)) {
      throw new SslError('BAD_OPTION', {
        where: 'core.Rng.of',
        expected: `a seed that is an integer of at most ${Number.MAX_SAFE_INTEGER}`,
        got: String(seed),
        fix: 'pass a whole number such as 0',
        details: { seed: String(seed) },
      });
    }
    const low = seed >>> 0;
    const high = Math.floor(seed / 0x1_0000_0000) >>> 0;
    return new Rng(low, (hashName(purpose) ^ high) >>> 0, a, b, c);
  }

  #nextBlock(out: Uint32Array, at = 0): void {
    const counter = this.#counter;
    philox4x32(counter, this.#key0, this.#key1, out, at);
    // Word 0 and the low half of word 1 count blocks: 2^48 of them before a stream could meet another.
    counter[0]++;
    if (counter[0] === 0) counter[1]++;
  }

  /** The next 32 random bits. */
  bits(): number {
    if (this.#used === 4) {
      this.#nextBlock(this.#block);
      this.#used = 0;
    }
    return this.#block[this.#used++];
  }

  /** The next words of {@link Rng.bits}, in runs that stay in the cache: `use` gets each run and where it starts. */
  #eachRun(words: number, use: (run: Uint32Array, start: number) => void): void {
    const run = new Uint32Array(Math.min(words, RUN_WORDS));
    for (let start = 0; start < words; start += RUN_WORDS) {
      const taken = run.subarray(0, words - start);
      let i = 0;
      while (i < taken.length && this.#used < 4) taken[i++] = this.bits();
      for (; i + 4 <= taken.length; i += 4) this.#nextBlock(taken, i);
      while (i < taken.length) taken[i++] = this.bits();
      use(taken, start);
    }
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

  /** `n` normal draws as float32, each pair from two words: several times as fast as {@link Rng.normal}. */
  normals(n: number, std = 1, mean = 0): Float32Array {
    const out = new Float32Array(n);
    this.#eachRun(n + (n % 2), (run, start) => {
      for (let i = 0; i < run.length; i += 2) {
        const r = std * Math.sqrt(-2 * Math.log((run[i] + 1) / 0x1_0000_0000));
        const t = (2 * Math.PI * run[i + 1]) / 0x1_0000_0000;
        out[start + i] = mean + r * Math.cos(t);
        // The second of the last pair is dropped where n is odd: a write past the end does nothing.
        out[start + i + 1] = mean + r * Math.sin(t);
      }
    });
    return out;
  }

  /** `n` uniform draws from low to high as float32, each from one word; rounding to float32 may reach `high` itself. */
  uniforms(n: number, low = 0, high = 1): Float32Array {
    const out = new Float32Array(n);
    const scale = (high - low) / 0x1_0000_0000;
    this.#eachRun(n, (run, start) => {
      for (let i = 0; i < run.length; i++) out[start + i] = low + scale * run[i];
    });
    return out;
  }
}
