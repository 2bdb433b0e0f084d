import { numberAt, textAt } from './json-values.js';
import type { Series } from './chart/line-chart.js';
import type { RunRecord, StepRecord } from './run-record.js';

/** A chart of a run, before it is drawn. */
export interface Curve {
  readonly id: string;
  readonly title: string;
  /** What a reader should see in it. */
  readonly caption: string;
  readonly series: readonly Series[];
  readonly unit?: string;
  readonly fromZero?: boolean;
}

/** What is known about recorded values; the others get a chart of their own name each. */
interface CurvePlan extends Omit<Curve, 'series'> {
  /** Paths of the recorded values and what they are called here. */
  readonly values: Readonly<Record<string, string>>;
  /** Recorded values that are bounds. */
  readonly references?: Readonly<Record<string, string>>;
  /** Recorded values are divided by it. */
  readonly divisor?: number;
}

const PLANS: readonly CurvePlan[] = [
  {
    id: 'loss',
    title: 'Loss and its parts',
    caption: 'The loss should fall.',
    values: { loss: 'loss' },
  },
  {
    id: 'accuracy',
    title: 'Accuracy while training',
    caption:
      'k-NN and linear accuracy of frozen features on held-out pictures: should rise. Judge a run by this, not by its loss.',
    unit: '%',
    values: {
      'knn.top1': 'k-NN top-1',
      'knn.top5': 'k-NN top-5',
      'linear.top1': 'linear top-1',
      'probe.top1': 'probe top-1',
    },
  },
  {
    id: 'expansion',
    title: 'Expansion within its bounds',
    caption:
      'E_max is the most features can spread, E_col what collapsed ones score. A curve that sinks to E_col has collapsed.',
    values: { 'parts.expansion': 'expansion' },
    references: { expansionMax: 'E_max', expansionCollapsed: 'E_col' },
  },
  {
    id: 'rank',
    title: 'Effective rank of features',
    caption: 'Number of directions in use in a batch: should rise and stay up. One direction means collapse.',
    fromZero: true,
    values: { effectiveRank: 'effective rank' },
  },
  {
    id: 'std',
    title: 'Feature standard deviation',
    caption:
      'Per dimension, of unit features, around 1 over the root of their width when spread evenly; 0 when collapsed.',
    fromZero: true,
    values: { featureStd: 'feature std' },
  },
  {
    id: 'gradient-ratio',
    title: 'Gradient ratio',
    caption:
      'Gradient of compression over that of expansion, at the features. Far above 1, collapse pulls harder than spreading pushes.',
    fromZero: true,
    values: { gradientRatio: 'compression / expansion' },
  },
  {
    id: 'gradient-norm',
    title: 'Gradient norm',
    caption: 'Of all parameters, before clipping. Rising spikes announce a run that will break.',
    fromZero: true,
    values: { gradientNorm: 'gradient norm' },
  },
  {
    id: 'learning-rate',
    title: 'Learning rate',
    caption: 'Linear warm-up, then a cosine.',
    fromZero: true,
    values: { learningRate: 'learning rate' },
  },
  {
    id: 'throughput',
    title: 'Throughput',
    caption: 'Images a second, loading and saving included. Dips are checkpoints or a busy machine.',
    fromZero: true,
    values: { imagesPerSecond: 'images/s' },
  },
  {
    id: 'memory',
    title: 'Peak memory',
    caption: 'Largest resident size of the process so far: flat after the first steps.',
    fromZero: true,
    unit: ' MB',
    divisor: 2 ** 20,
    values: { memoryBytes: 'peak memory' },
  },
];

function pointsOf(records: readonly StepRecord[], path: string, divisor = 1): Series['points'] {
  return records.flatMap(({ step, values }) => (path in values ? [[step, values[path] / divisor] as const] : []));
}

function seriesOf(records: readonly StepRecord[], { values, references = {}, divisor }: CurvePlan): Series[] {
  const all = (names: Readonly<Record<string, string>>, reference: boolean): Series[] =>
    Object.entries(names).flatMap(([path, name]) => {
      const points = pointsOf(records, path, divisor);
      return points.length === 0 ? [] : [{ name, points, ...(reference ? { reference } : {}) }];
    });
  const recorded = all(values, false);
  return recorded.length === 0 ? [] : [...recorded, ...all(references, true)];
}

/** `centerNorm` and `probe.top1` in words. */
const inWords = (path: string): string =>
  path
    .replace(/[._]/g, ' ')
    .replace(/([a-z])([A-Z])/g, (_, a: string, b: string) => `${a} ${b.toLowerCase()}`)
    .replace(/^./, (first) => first.toUpperCase());

/** Parts of the loss go into its chart, whatever the method calls them. */
const LOSS_PART = /^parts\./;

/** What the parts of the known losses mean, by one of them. */
const LOSS_CAPTIONS: Readonly<Record<string, string>> = {
  'parts.compression':
    'The loss should fall, and is negative: it is minus both parts. Compression is how alike the views of a picture are (cosine, at most 1), expansion how far features spread.',
  'parts.clsCosine':
    'The loss should fall towards 0: it is how far the cosines of the tokens of student and teacher are from 1, for CLS tokens and for patches.',
  'parts.teacherEntropy':
    'The loss is the sum of both parts. Teacher entropy falls as its choices sharpen; divergence is what the student still has to learn. Divergence at 0 means collapse.',
};

/** Where unit features would be if they filled the sphere evenly. */
function evenStd({ config, records }: RunRecord): Series[] {
  const width = textAt(config, 'recipe')?.startsWith('simdino') === true ? numberAt(config, 'head.width') : undefined;
  const measured = pointsOf(records, 'featureStd');
  if (width === undefined || measured.length === 0) return [];
  const value = 1 / Math.sqrt(width);
  const ends = [measured[0][0], measured[measured.length - 1][0]];
  return [{ name: 'spread evenly', points: [...new Set(ends)].map((step) => [step, value] as const), reference: true }];
}

/** The charts of a run: the known ones first, then one for every other recorded number. */
export function curvesOf(run: RunRecord): Curve[] {
  const { records } = run;
  const paths = [...new Set(records.flatMap(({ values }) => Object.keys(values)))];
  const planned = new Set(PLANS.flatMap(({ values, references = {} }) => Object.keys({ ...values, ...references })));
  const known = PLANS.flatMap((plan): Curve[] => {
    const series = seriesOf(records, plan);
    if (plan.id === 'loss') {
      for (const path of paths) {
        if (LOSS_PART.test(path))
          series.push({ name: inWords(path.replace(LOSS_PART, '')).toLowerCase(), points: pointsOf(records, path) });
      }
    }
    if (plan.id === 'std') series.push(...evenStd(run));
    const { values, references, divisor, ...shown } = plan;
    void [values, references, divisor];
    if (series.length === 0) return [];
    const known = plan.id === 'loss' ? paths.find((path) => path in LOSS_CAPTIONS) : undefined;
    const caption = known === undefined ? plan.caption : LOSS_CAPTIONS[known];
    return [{ ...shown, caption, series }];
  });
  const others = paths
    .filter((path) => !planned.has(path) && !LOSS_PART.test(path))
    .map((path): Curve => ({
      id: path,
      title: inWords(path),
      caption: '',
      series: [{ name: inWords(path).toLowerCase(), points: pointsOf(records, path) }],
    }));
  return [...known, ...others];
}

/** The last recorded value of a path, with its step. */
export function lastValue(run: RunRecord, path: string): { readonly step: number; readonly value: number } | undefined {
  for (let i = run.records.length - 1; i >= 0; i--) {
    const { step, values } = run.records[i];
    if (path in values) return { step, value: values[path] };
  }
  return undefined;
}
