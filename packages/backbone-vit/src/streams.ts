import { Rng } from '@selfsup/core';

/** Streams named below one that is handed in; reading one never shifts another. */
export function namedStreams(rng: Rng): (name: string, index?: number, branch?: number) => Rng {
  const seed = rng.bits() + (rng.bits() >>> 11) * 0x1_0000_0000;
  return (name, index = 0, branch = 0) => Rng.of(seed, name, index, branch);
}
