import { COMPOSITE_KERNELS } from '@selfsup/ops';
import type { Composite } from '../../graph/graph.js';
import type { KernelRule } from '../kernel-context.js';
import { COMPOSITE_RULES } from './composites.js';
import { CONVOLUTION } from './convolution.js';
import { ELEMENTWISE } from './elementwise.js';
import { LINEAR_ALGEBRA } from './linear-algebra.js';
import { reductionRules } from './reduction.js';
import { SHAPE } from './shape.js';

/** Every kernel rule for an engine that runs the given composites whole. */
export function kernelRules(composites: readonly Composite[]): Map<string, KernelRule> {
  const rules = new Map<string, KernelRule>();
  for (const family of [ELEMENTWISE, reductionRules(new Set(composites)), SHAPE, LINEAR_ALGEBRA, CONVOLUTION]) {
    for (const [name, rule] of Object.entries(family)) rules.set(name, rule);
  }
  for (const name of composites) rules.set(COMPOSITE_KERNELS[name], COMPOSITE_RULES[name]);
  return rules;
}
