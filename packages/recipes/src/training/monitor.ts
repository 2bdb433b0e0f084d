import { collapseBudget, type CollapseBudget } from '@selfsup/loss-coding-rate';
import { featureStd, rankMeasures, singularValues } from '@selfsup/eval-suite';
import type { RecipeConfig } from '../config/types.js';

/** Alignment that training commonly reaches: what spread features lose against collapsed ones (A = 1) is 1 minus it. */
const ATTAINABLE_ALIGNMENT = 0.7;

/** Share of the way from E_col to E_max below which measured features count as collapsing. */
const NEAR_COLLAPSE = 0.1;

/** E_max, E_col and their gap for a configuration (spec of the coding-rate loss, "collapse budget"). */
export function budgetOf({ loss, batchSize, groups, head }: RecipeConfig): CollapseBudget {
  return collapseBudget({ ...loss, batchSize, groups, width: head.width });
}

/** A warning before the first step where collapsing scores as well as spreading out; undefined when it does not. */
export function collapseWarning(config: RecipeConfig): string | undefined {
  const { gap, maximum, collapsed } = budgetOf(config);
  const loses = config.loss.compressionWeight * (1 - ATTAINABLE_ALIGNMENT);
  if (gap > loses) return undefined;
  return (
    `collapse may score as well as spread features: the coding rate can gain ${gap.toFixed(3)} (E from ${collapsed.toFixed(3)} to ${maximum.toFixed(3)}), ` +
    `alignment loses about ${loses.toFixed(2)}. Use a smaller loss.codingRateEps, larger groups (fewer --groups) or a smaller loss.compressionWeight.`
  );
}

/** What is logged about the features of a step. */
export interface FeatureReport {
  readonly featureStd: number;
  readonly effectiveRank: number;
  readonly expansionMax: number;
  readonly expansionCollapsed: number;
}

/** Diagnostics of one view's features `[B, d]`. */
export function featureReport(config: RecipeConfig, features: Float32Array): FeatureReport {
  const { width } = config.head;
  const matrix = { data: features, shape: [features.length / width, width] };
  const { maximum, collapsed } = budgetOf(config);
  return {
    featureStd: featureStd(matrix),
    effectiveRank: rankMeasures(singularValues(matrix)).effectiveRank,
    expansionMax: maximum,
    expansionCollapsed: collapsed,
  };
}

/** An alarm when the measured coding rate comes close to that of collapsed features. */
export function collapseAlarm(
  { expansionMax, expansionCollapsed }: FeatureReport,
  expansion: number,
): string | undefined {
  const share = (expansion - expansionCollapsed) / (expansionMax - expansionCollapsed);
  if (share > NEAR_COLLAPSE) return undefined;
  return `features are close to collapse: coding rate ${expansion.toFixed(4)}, collapsed ${expansionCollapsed.toFixed(4)}, possible ${expansionMax.toFixed(4)}`;
}
