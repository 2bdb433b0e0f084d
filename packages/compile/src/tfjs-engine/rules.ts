import type { Op } from '../graph/graph.js';
import { ELEMENTWISE } from './elementwise.js';
import { REDUCTION } from './reductions.js';
import type { Rule } from './rule.js';
import { SHAPE } from './shape.js';
import { WINDOW } from './windows.js';

/** Every primitive and the composites of {@link TFJS_COMPOSITES}. */
export const RULES: Readonly<Partial<Record<Op, Rule>>> = { ...ELEMENTWISE, ...SHAPE, ...REDUCTION, ...WINDOW };

/** Composites with a tfjs kernel of their own on every backend. */
export const TFJS_COMPOSITES = ['softmax', 'top_k'] as const;
