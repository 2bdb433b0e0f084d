import { Rng } from '@selfsup/core';
import { fixtureCases } from '@selfsup/test-kit';
import { describe, expect, it } from 'vitest';
import { randomResizedCropBox } from '../../src/index.js';
import { chiSquareTwoSample, histogram, mean, standardDeviation } from '../statistics.js';

interface Expected {
  scale: [number, number];
  draws: number;
  [statistic: string]: number | number[];
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
      expect(Math.abs(actual - wanted)).toBeLessThan(4 * deviation * Math.sqrt(2 / n));
    };
    const statistic = (key: string): number => expected[key] as number;
    const roomiest = (room: (i: number) => number, offset: (i: number) => number): number[] =>
      boxes.flatMap((_, i) => (room(i) > 20 ? [offset(i) / room(i)] : []));

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
      near(mean(top), statistic('mean_relative_top_where_room>20'), standardDeviation(top), top.length);
      near(mean(left), statistic('mean_relative_left_where_room>20'), standardDeviation(left), left.length);
    });

    it('spread, quantiles and correlation', () => {
      // Errors of deviations, quantiles and correlations are of the order of the means' errors.
      const error = 8 / Math.sqrt(areas.length);
      expect(standardDeviation(areas) / statistic('std_area')).toBeAllclose(1, { rtol: 0, atol: error });
      expect(standardDeviation(logRatios) / statistic('std_log_ratio')).toBeAllclose(1, { rtol: 0, atol: error });
      const sorted = areas.toSorted((a, b) => a - b);
      const quantiles = [0.05, 0.25, 0.5, 0.75, 0.95].map((q) => sorted[Math.round(q * (sorted.length - 1))]);
      expect(quantiles).toBeAllclose(expected['area_quantiles_5_25_50_75_95'], {
        rtol: 0,
        atol: error * statistic('std_area') * 2,
      });
      const [a, r] = [mean(areas), mean(logRatios)];
      const covariance = mean(areas.map((area, i) => (area - a) * (logRatios[i] - r)));
      const correlation = covariance / standardDeviation(areas) / standardDeviation(logRatios);
      expect(Math.abs(correlation - statistic('corr_area_logratio'))).toBeLessThan(error);
    });

    it('shares of boxes as wide, as high or as large as the picture', () => {
      const share = (test: (box: (typeof boxes)[number]) => boolean): number =>
        mean(boxes.map((box) => Number(test(box))));
      const nearShare = (actual: number, wanted: number): void => {
        // A share of nearly nothing still has the error of a few counts.
        const deviation = Math.sqrt(Math.max(wanted, 4 / boxes.length) * (1 - wanted));
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
