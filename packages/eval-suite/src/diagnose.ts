import { codingRateOf, type CodingRate } from './coding-rate.js';
import type { Features } from './features.js';
import { rankMeasures, type RankMeasures, singularValues } from './spectrum.js';
import { featureStd, meanCosine } from './spread.js';

/** SimDINO's default. */
export const DEFAULT_CODING_RATE_EPSILON = 0.5;

/** How spread out features are. */
export interface FeatureDiagnostics {
  readonly rows: number;
  readonly width: number;
  /** See {@link featureStd}; about 1/sqrt(width) when evenly spread. */
  readonly featureStd: number;
  /** See {@link meanCosine}. */
  readonly meanCosine: number;
  /** Of the centred features: directions in which images differ. All 0 when they have collapsed. */
  readonly centredRank: RankMeasures;
  /** Of the features as they are, as RankMe is defined. */
  readonly rawRank: RankMeasures;
  readonly codingRate: CodingRate;
}

/**
 * The usual signs of collapse in one object, computed in float64 on the host. Collapsed features give zeros and ones,
 * never NaN. Takes time for about rows * width * min(rows, width) products.
 *
 * @param features - `[rows, width]`, two rows or more
 * @throws SslError `SHAPE_MISMATCH`, `DATA_EMPTY`, `NON_FINITE`, `BAD_OPTION` for epsilon <= 0
 *
 * @example
 * const { featureStd, centredRank } = diagnoseFeatures({ shape: [64, 384], data: cls });
 */
export function diagnoseFeatures(
  features: Features,
  codingRateEpsilon: number = DEFAULT_CODING_RATE_EPSILON,
): FeatureDiagnostics {
  return {
    rows: features.shape[0],
    width: features.shape[1],
    featureStd: featureStd(features),
    meanCosine: meanCosine(features),
    centredRank: rankMeasures(singularValues(features, 'centred')),
    rawRank: rankMeasures(singularValues(features)),
    codingRate: codingRateOf(features, codingRateEpsilon),
  };
}
