import { Rng } from '@selfsup/core';
import { fixtureCases } from '@selfsup/test-kit';
import { describe, expect, it } from 'vitest';
import { randomResizedCropBox } from '../../src/index.js';
import { chiSquareTwoSample, histogram, mean, standardDeviation } from '../statistics.js';

interface Expected {
  scale: [number, number];
  draws: number;
  /** null: nothing to take the statistic of. */
  [statistic: string]: number | number[] | null;
}

/** What sums of equal numbers may differ by. */
const ROUNDING = 1e-9;

/** Four standard errors of the ratio of two samples' deviations, times the root of the sample size. */
function tailError(values: number[]): number {
  const [m, deviation] = [mean(values), standardDeviation(values)];
  const kurtosis = deviation < ROUNDING ? values.length : mean(values.map((v) => ((v - m) / deviation) ** 4));
  return 4 * Math.sqrt(kurtosis / 2);
}

describe.each(fixtureCases('augment/rrc-distribution'))('$name', (fixture) => {
  const { width, height, ratio } = fixture.json['parameters'];

  describe.each(Object.entries(fixture.json['expected'] as Record<string, Expected>))('%s', (name, expected) => {
    const rng = Rng.of(11, 'rrc-distribution');
    const boxes = Array.from({ length: expected.draws }, () =>
      randomResizedCropBox(rng, width, height, expected.scale, ratio),
    );
    const areas = boxes.map((box) => (box.width * box.height) / (width * height));
    const ratios = boxes.map((box) => box.width / box.height);
    const logRatios = ratios.map(Math.log);
    /** Four standard errors of the difference of two samples of this size. */
    const near = (actual: number, wanted: number, deviation: number, n: number): void => {
      expect(Math.abs(actual - wanted)).toBeLessThanOrEqual(4 * deviation * Math.sqrt(2 / n) + ROUNDING);
    };
    const statistic = (key: string): number => expected[key] as number;
    const roomiest = (room: (i: number) => number, offset: (i: number) => number): number[] =>
      boxes.flatMap((_, i) => (room(i) > 20 ? [offset(i) / room(i)] : []));
    const nearRelative = (offsets: number[], wanted: unknown): void => {
      // Few boxes of the one sample can be none of the other.
      if (typeof wanted !== 'number') expect(offsets.length).toBeLessThan(20);
      else if (offsets.length < 20) near(mean([0.5, ...offsets]), wanted, 0.3, Math.max(1, offsets.length));
      else near(mean(offsets), wanted, standardDeviation(offsets), offsets.length);
    };

    it('means', () => {
      near(mean(areas), statistic('mean_area'), standardDeviation(areas), areas.length);
      near(mean(logRatios), statistic('mean_log_ratio'), standardDeviation(logRatios), areas.length);
      const top = roomiest(
        (i) => height - boxes[i].height,
        (i) => boxes[i].top,
      );
      const left = roomiest(
        (i) => width - boxes[i].width,
        (i) => boxes[i].left,
      );
      nearRelative(top, expected['mean_relative_top_where_room>20']);
      nearRelative(left, expected['mean_relative_left_where_room>20']);
    });

    it('spread, quantiles and correlation', () => {
      const [areaSpread, logRatioSpread] = [standardDeviation(areas), standardDeviation(logRatios)];
      // Errors of deviations and correlations are of the order of the means' errors, unless a few boxes make the spread.
      const error = Math.max(8, ...[areas, logRatios].map(tailError)) / Math.sqrt(areas.length);
      expect(Math.abs(areaSpread - statistic('std_area'))).toBeLessThanOrEqual(
        error * Math.max(areaSpread, statistic('std_area')) + ROUNDING,
      );
      expect(Math.abs(logRatioSpread - statistic('std_log_ratio'))).toBeLessThanOrEqual(
        error * Math.max(logRatioSpread, statistic('std_log_ratio')) + ROUNDING,
      );
      // Areas of small pictures are few, so that a quantile may jump: the share below it does not.
      for (const [i, q] of [0.05, 0.25, 0.5, 0.75, 0.95].entries()) {
        const quantile = (expected['area_quantiles_5_25_50_75_95'] as number[])[i];
        const slack = 4 * Math.sqrt((2 * q * (1 - q)) / areas.length);
        expect(mean(areas.map((area) => Number(area < quantile - ROUNDING)))).toBeLessThanOrEqual(q + slack);
        expect(mean(areas.map((area) => Number(area <= quantile + ROUNDING)))).toBeGreaterThanOrEqual(q - slack);
      }
      // Nothing correlates with a constant.
      const wanted = expected['corr_area_logratio'];
      if (Math.min(areaSpread, logRatioSpread) < ROUNDING || typeof wanted !== 'number') return;
      const [a, r] = [mean(areas), mean(logRatios)];
      const covariance = mean(areas.map((area, i) => (area - a) * (logRatios[i] - r)));
      const correlation = covariance / areaSpread / logRatioSpread;
      expect(Math.abs(correlation - wanted)).toBeLessThan(error);
    });

    it('shares of boxes as wide, as high or as large as the picture', () => {
      const share = (test: (box: (typeof boxes)[number]) => boolean): number =>
        mean(boxes.map((box) => Number(test(box))));
      const nearShare = (actual: number, wanted: number): void => {
        // A share of nearly nothing, or nearly all, still has the error of a few counts.
        const rare = 4 / boxes.length;
        const deviation = Math.sqrt(Math.max(wanted, rare) * Math.max(1 - wanted, rare));
        near(actual, wanted, deviation, boxes.length);
      };
      nearShare(
        share((box) => box.height === height),
        statistic('fraction_height_full'),
      );
      nearShare(
        share((box) => box.width === width),
        statistic('fraction_width_full'),
      );
      nearShare(
        share((box) => box.width === width && box.height === height),
        statistic('fraction_exact_whole_image'),
      );
    });

    it('histograms', () => {
      const area = histogram(areas, fixture.tensor(`${name}.area_edges`).data);
      const expectedArea = [...fixture.tensor(`${name}.area_hist`).data];
      const outside = expected.draws - expectedArea.reduce((sum, n) => sum + n, 0);
      expect(
        chiSquareTwoSample([...area.counts, area.outside[0] + area.outside[1]], [...expectedArea, outside]),
      ).toBeGreaterThan(1e-4);
      const shape = histogram(ratios, fixture.tensor(`${name}.ratio_edges`).data);
      const expectedShape = [
        ...fixture.tensor(`${name}.ratio_hist`).data,
        ...fixture.tensor(`${name}.ratio_outside`).data,
      ];
      expect(chiSquareTwoSample([...shape.counts, ...shape.outside], expectedShape)).toBeGreaterThan(1e-4);
    });
  });
});
