import { formatShape, sizeOf, SslError } from '@selfsup/core';
import type { FunctionWriter, Tensor } from './writer.js';

/** Where an array lies: the dimension that is split evenly over the devices, or undefined for a copy on each. */
type SplitAxis = number | undefined;

/** Rows of numbers of fewer elements are copied: they cost less than what devices would tell each other. */
const MANY_NUMBERS = 2 ** 16;

/** Lists of fewer elements are copied: they hold schedules, not rows of the batch. */
const LONG_LIST = 2 ** 6;

/** State of fewer elements is copied, for the same reason. */
const SMALL_STATE = 2 ** 10;

/**
 * How an array of the batch is split: along its first dimension when it holds pictures (or anything of three dimensions
 * and more), many rows, or a long list, such as which patches are masked: what is gathered by a split list is split too.
 * Schedules and short tables are copied.
 *
 * @throws SslError `BAD_OPTION` for pictures that the devices do not divide
 */
export function batchSplit(name: string, shape: readonly number[], devices: number): SplitAxis {
  if (devices === 1 || shape.length === 0) return undefined;
  const divides = shape[0] % devices === 0;
  if (shape.length < 3)
    return divides && sizeOf(shape) >= (shape.length === 1 ? LONG_LIST : MANY_NUMBERS) ? 0 : undefined;
  if (divides) return 0;
  throw new SslError('BAD_OPTION', {
    where: 'engine-xla.compile',
    expected: `a batch that ${devices} devices divide`,
    got: `${name} ${formatShape(shape)}`,
    fix: `use a --batch-size that ${devices} divides, or fewer --devices`,
    details: { name, shape, devices },
  });
}

/** How a tensor of a split state is split: along the first dimension the devices divide. */
export function stateSplit(shape: readonly number[], devices: number): SplitAxis {
  if (devices === 1 || sizeOf(shape) < SMALL_STATE) return undefined;
  const axis = shape.findIndex((size) => size % devices === 0);
  return axis < 0 ? undefined : axis;
}

const MESH = '@mesh';
const AXIS = '"batch"';

/** The line of a module that names its devices. */
export const meshText = (devices: number): string => `sdy.mesh ${MESH} = <[${AXIS}=${devices}]>`;

const layoutText = (rank: number, split: SplitAxis): string =>
  `<${MESH}, [${Array.from({ length: rank }, (_, axis) => (axis === split ? `{${AXIS}}` : '{}')).join(', ')}]>`;

/** The attribute of an argument or a result. */
export const shardingText = (rank: number, split: SplitAxis): string =>
  `sdy.sharding = #sdy.sharding${layoutText(rank, split)}`;

/** All of a tensor on every device. */
export function gathered(w: FunctionWriter, x: Tensor): Tensor {
  return w.sharded(x, layoutText(x.shape.length, undefined));
}
