/** Seed and number of runs for `fc.assert`. */
export interface PropertyOptions {
  readonly seed: number;
  readonly numRuns: number;
}

function integerOf(variable: string): number | undefined {
  const text = process.env[variable];
  if (text === undefined || text === '') return undefined;
  const value = Number(text);
  if (!Number.isInteger(value)) throw new Error(`${variable} must be an integer, got "${text}"`);
  return value;
}

/**
 * Options of a property test: a fixed seed and few runs, unless FC_SEED and FC_NUM_RUNS say otherwise.
 *
 * @param numRuns - runs by default; lower it for slow properties
 *
 * @example
 * fc.assert(fc.property(fc.integer(), (n) => { ... }), propertyOptions());
 */
export function propertyOptions(numRuns = 50): PropertyOptions {
  return { seed: integerOf('FC_SEED') ?? 20_240_817, numRuns: integerOf('FC_NUM_RUNS') ?? numRuns };
}
