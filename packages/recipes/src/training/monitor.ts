import { collapseBudget, type CollapseBudget } from '@selfsup/loss-coding-rate';
import { featureStd, rankMeasures, singularValues } from '@selfsup/eval-suite';
import type { RecipeConfig } from '../config/types.js';

/** Alignment that training commonly reaches: what spread features lose against collapsed ones (A = 1) is 1 minus it. */
const ATTAINABLE_ALIGNMENT = 0.7;

/** Share of the way from E_col to E_max below which measured features count as collapsing. */
const NEAR_COLLAPSE = 0.1;

/** Effective rank of features below which a method without a coding rate counts as collapsing. */
const COLLAPSED_RANK = 1.5;

/** E_max, E_col and their gap for a SimDINO or SimDINOv2 configuration ("collapse budget"); undefined for other methods. */
export function budgetOf(config: RecipeConfig): CollapseBudget | undefined {
  if (config.recipe !== 'simdino' && config.recipe !== 'simdinov2') return undefined;
  const { loss, batchSize, groups, head } = config;
  return collapseBudget({ ...loss, batchSize, groups, width: head.width });
}

/** A warning before the first step where collapsing scores as well as spreading out; undefined when it does not. */
export function collapseWarning(config: RecipeConfig): string | undefined {
  const budget = budgetOf(config);
  if (budget === undefined || !('compressionWeight' in config.loss)) return undefined;
  const loses = config.loss.compressionWeight * (1 - ATTAINABLE_ALIGNMENT);
  const { gap, maximum, collapsed } = budget;
  if (gap > loses) return undefined;
  return (
    `collapse may score as well as spread features: the coding rate can gain ${gap.toFixed(3)} ` +
    `(E from ${collapsed.toFixed(3)} to ${maximum.toFixed(3)}), alignment loses about ${loses.toFixed(2)}. ` +
    'Use a smaller loss.codingRateEps, larger groups (fewer --groups) or a smaller loss.compressionWeight.'
  );
}

/** What is logged about the features of a step. */
export interface FeatureReport {
  readonly featureStd: number;
  readonly effectiveRank: number;
  readonly expansionMax?: number;
  readonly expansionCollapsed?: number;
}

/** Diagnostics of one view's features, `[B, width]` row-major. */
export function featureReport(config: RecipeConfig, features: Float32Array): FeatureReport {
  const matrix = { data: features, shape: [config.batchSize, features.length / config.batchSize] };
  const budget = budgetOf(config);
  return {
    featureStd: featureStd(matrix),
    effectiveRank: rankMeasures(singularValues(matrix)).effectiveRank,
    ...(budget === undefined ? {} : { expansionMax: budget.maximum, expansionCollapsed: budget.collapsed }),
  };
}

/** An alarm when measured features come close to collapse: by their coding rate, or by their rank. */
export function collapseAlarm(
  record: FeatureReport & { readonly parts: Readonly<Record<string, number>> },
): string | undefined {
  const { effectiveRank, expansionMax, expansionCollapsed, parts } = record;
  if (expansionMax === undefined || expansionCollapsed === undefined) {
    if (effectiveRank > COLLAPSED_RANK) return undefined;
    return `features are close to collapse: effective rank ${effectiveRank.toFixed(2)}`;
  }
  const expansion = parts['expansion'];
  if (expansion - expansionCollapsed > NEAR_COLLAPSE * (expansionMax - expansionCollapsed)) return undefined;
  return `features are close to collapse: coding rate ${expansion.toFixed(4)}, collapsed ${expansionCollapsed.toFixed(4)}, possible ${expansionMax.toFixed(4)}`;
}
