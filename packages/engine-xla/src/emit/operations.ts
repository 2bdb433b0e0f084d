import type { Op } from '@selfsup/compile';
import { ATTENTION } from './attention.js';
import { CONVOLUTION } from './convolution.js';
import { ELEMENTWISE } from './elementwise.js';
import { INDEXING } from './indexing.js';
import { NORMALIZATION } from './normalization.js';
import type { EmitOperation } from './operation.js';
import { POOLING } from './pooling.js';
import { PRODUCT } from './product.js';
import { REDUCTION } from './reduction.js';
import { RESIZING } from './resizing.js';
import { SHAPE } from './shape.js';
import { TRIANGULAR } from './triangular.js';

/** How every operation is written. */
export const OPERATIONS: Readonly<Record<Op, EmitOperation>> = {
  ...ELEMENTWISE,
  ...SHAPE,
  ...PRODUCT,
  ...REDUCTION,
  ...INDEXING,
  ...CONVOLUTION,
  ...POOLING,
  ...RESIZING,
  ...NORMALIZATION,
  ...ATTENTION,
  ...TRIANGULAR,
};
