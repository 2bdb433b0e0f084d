import { formatShape, sameShape, SslError, type Shaped } from '@selfsup/core';

/**
 * The entries whose names begin with a prefix, with the prefix taken off.
 *
 * @throws SslError `NO_PARAMS_MATCHED` where there are none
 *
 * @example
 * const backbone = selectParameters(state, 'teacher.backbone.');
 */
export function selectParameters<T>(tensors: Readonly<Record<string, T>>, prefix: string): Record<string, T> {
  const selected = Object.entries(tensors).filter(([name]) => name.startsWith(prefix));
  if (selected.length > 0)
    return Object.fromEntries(selected.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
  // Prefixes up to the second dot: `teacher.backbone.` and the like.
  const known = [...new Set(Object.keys(tensors).map((name) => /^[^.]*\.(?:[^.]*\.)?/.exec(name)?.[0] ?? name))];
  throw new SslError('NO_PARAMS_MATCHED', {
    where: 'checkpoint.selectParameters',
    expected: `parameters whose names begin with "${prefix}"`,
    got: known.length === 0 ? 'no parameters at all' : `names that begin with ${known.slice(0, 8).join(', ')}`,
    fix: 'pass one of those beginnings',
    details: { prefix, known },
  });
}

/** Options of {@link compareParameters}. */
export interface CompareOptions {
  /** Where the parameters come from, for the message, e.g. a path. Default `the checkpoint`. */
  readonly source?: string;
  /** Names that may be missing, e.g. `mask_token`. */
  readonly optional?: readonly string[];
}

const list = (kind: string, names: readonly string[]): string[] =>
  names.length === 0
    ? []
    : [`${kind} ${names.slice(0, 5).join(', ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}`];

/** The prefix that stands before every missing name in the parameters that came; undefined when there is no such. */
function surplusPrefix(missing: readonly string[], unexpected: readonly string[]): string | undefined {
  const [first] = missing;
  const candidate = unexpected.find((name) => first !== undefined && name.endsWith(`.${first}`));
  const prefix = candidate?.slice(0, candidate.length - (first?.length ?? 0));
  return prefix !== undefined && missing.every((name) => unexpected.includes(prefix + name)) ? prefix : undefined;
}

/**
 * Compares parameters with what a model needs, strictly: every name there, no other, every shape right.
 *
 * @throws SslError `CHECKPOINT_MISMATCH` that lists all missing, unexpected and mis-shaped names at once, in full in
 *   `details`
 */
export function compareParameters(
  expected: Readonly<Record<string, Shaped>>,
  got: Readonly<Record<string, Shaped>>,
  options: CompareOptions = {},
): void {
  const { source = 'the checkpoint', optional = [] } = options;
  const missing = Object.keys(expected).filter((name) => !Object.hasOwn(got, name) && !optional.includes(name));
  const unexpected = Object.keys(got).filter((name) => !Object.hasOwn(expected, name));
  const misshaped = Object.keys(expected)
    .filter((name) => Object.hasOwn(got, name) && !sameShape(expected[name].shape, got[name].shape))
    .map((name) => ({ name, expected: [...expected[name].shape], got: [...got[name].shape] }));
  if (missing.length + unexpected.length + misshaped.length === 0) return;
  const prefix = surplusPrefix(missing, unexpected);
  const shapes = misshaped.map((m) => `${m.name} ${formatShape(m.got)} instead of ${formatShape(m.expected)}`);
  throw new SslError('CHECKPOINT_MISMATCH', {
    where: 'checkpoint.compareParameters',
    expected: `the ${Object.keys(expected).length} parameters of the model in ${source}`,
    got: [...list('missing', missing), ...list('unexpected', unexpected), ...list('mis-shaped', shapes)].join('; '),
    fix:
      prefix === undefined
        ? 'use the architecture and options that the checkpoint was made with'
        : `select the parameters that begin with "${prefix}"`,
    details: { missing, unexpected, misshaped },
  });
}
