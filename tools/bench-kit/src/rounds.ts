/** Smallest, middle and largest of some measurements. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
  readonly rounds: number;
}

/** @throws RangeError when there is nothing to measure */
export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError('bench-kit.spreadOf: expected at least one value, got none');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { min: sorted[0], median, max: sorted[sorted.length - 1], rounds: values.length };
}

/** One round of a competitor: how long it took, in seconds, measured by itself (without start-up). */
export type Round = () => number | Promise<number>;

/** A {@link Round} that takes the wall time of a function. */
export function timed(run: () => unknown): Round {
  return async () => {
    const start = performance.now();
    await run();
    return (performance.now() - start) / 1000;
  };
}

/**
 * Runs rounds of all competitors in turn, the order reversed every other time, so that whatever else the machine does
 * meets each of them alike.
 *
 * @param rounds - Rounds that count, per competitor.
 * @param warmUp - Rounds before those, thrown away.
 *
 * @example
 * const { ours, theirs } = await interleave({ ours: timed(a), theirs: timed(b) }, 9);
 * const ratio = ours.median / theirs.median;
 */
export async function interleave<Name extends string>(
  competitors: Readonly<Record<Name, Round>>,
  rounds: number,
  warmUp = 1,
): Promise<Record<Name, Spread>> {
  const names = Object.keys(competitors) as Name[];
  const seconds = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, number[]>;
  for (let round = -warmUp; round < rounds; round++) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const taken = await competitors[name]();
      if (round >= 0) seconds[name].push(taken);
    }
  }
  return Object.fromEntries(names.map((name) => [name, spreadOf(seconds[name])])) as Record<Name, Spread>;
}
