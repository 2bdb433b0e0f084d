import type { Engine } from '@selfsup/compile';
import { SslError } from '@selfsup/core';
import { openDataset, type Dataset } from '@selfsup/datasets';
import type { KnnResult } from '@selfsup/eval-suite';
import { loadBackbone, type LoadedBackbone } from '@selfsup/recipes';
import { chooseEngine, type EngineChoice } from '../engines.js';
import type { Output } from '../terminal/output.js';
import { createProgress } from '../terminal/progress.js';
import { knnOfFeatures, splitFeatures } from './knn.js';

export interface EvalKnnFlags extends EngineChoice {
  readonly checkpoint: string;
  readonly data: string;
  readonly k: string;
  readonly temperature: number;
  readonly batchSize: number;
  readonly from?: string;
}

function neighbourCounts(text: string): number[] {
  const counts = text.split(',').map(Number);
  if (counts.every((k) => Number.isInteger(k) && k >= 1)) return counts;
  throw new SslError('BAD_OPTION', {
    where: 'selfsup.eval',
    expected: '--k as whole numbers, comma separated',
    got: `"${text}"`,
    fix: 'write for example --k 10,20',
  });
}

function network(from: string | undefined): { from?: 'teacher' | 'student' } {
  if (from === undefined) return {};
  if (from === 'teacher' || from === 'student') return { from };
  throw new SslError('BAD_OPTION', {
    where: 'selfsup.eval',
    expected: '--from teacher or student',
    got: `"${from}"`,
    fix: 'leave --from out for the teacher',
  });
}

export interface LabelledParts {
  readonly train: Dataset;
  readonly test: Dataset;
  readonly classes: readonly string[];
}

/** Both parts of a labelled data set. @throws SslError `BAD_OPTION` for pictures without labels, `DATA_EMPTY` */
export async function labelledParts(directory: string): Promise<LabelledParts> {
  const train = await openDataset(directory, { split: 'train' });
  if (train.classes === undefined) {
    throw new SslError('BAD_OPTION', {
      where: 'selfsup.eval',
      expected: 'labelled pictures: CIFAR binaries, or one folder per class',
      got: `${directory}, which has no classes`,
      fix: 'sort the pictures into class folders',
    });
  }
  return { train, test: await openDataset(directory, { split: 'test' }), classes: train.classes };
}

/** What is measured, and with what. */
type KnnSetting = Pick<EvalKnnFlags, 'checkpoint' | 'k' | 'temperature' | 'batchSize' | 'from'>;

export interface MeasuredKnn extends Omit<KnnResult, 'predictions'> {
  readonly from: LoadedBackbone['from'];
  readonly step: number | undefined;
  /** Files that could not be read. */
  readonly bad: readonly string[];
}

/** Weighted k-NN of a checkpoint's features. @throws SslError `BAD_OPTION`, `CHECKPOINT_MISMATCH`, those of the engine */
export async function measureKnn(
  engine: Engine,
  flags: KnnSetting,
  { classes, ...parts }: LabelledParts,
  output: Output,
): Promise<MeasuredKnn> {
  const k = neighbourCounts(flags.k);
  const { backbone, weights, from, step, notes } = await loadBackbone(flags.checkpoint, network(flags.from));
  for (const note of notes) output.note(note);
  const progress = createProgress({ label: 'features', total: parts.train.size + parts.test.size });
  const features = await splitFeatures(engine, backbone, weights, parts, flags.batchSize, (done) =>
    progress.update(done),
  );
  progress.finish();
  const bad = [...features.train.bad, ...features.test.bad];
  if (bad.length > 0) output.note(`left out ${bad.length} unreadable files, e.g. ${bad.slice(0, 3).join(', ')}`);
  const { predictions, ...result } = await knnOfFeatures(features, classes.length, k, flags.temperature);
  void predictions;
  return { ...result, from, step, bad };
}

/** `selfsup eval knn`. */
export async function evalKnn(flags: EvalKnnFlags, output: Output): Promise<void> {
  neighbourCounts(flags.k);
  network(flags.from);
  const parts = await labelledParts(flags.data);
  const engine = await chooseEngine(flags);
  try {
    const { from, step, bad, ...result } = await measureKnn(engine, flags, parts, output);
    const setting = {
      ...result.setting,
      features: 'cls',
      from,
      step,
      checkpoint: flags.checkpoint,
      data: flags.data,
      badFiles: bad.length,
    };
    output.result(
      { ...result, setting },
      `k-NN (${from}${step === undefined ? '' : `, step ${step}`}): top-1 ${result.top1.toFixed(2)} %, top-5 ${result.top5.toFixed(2)} % at k ${result.k}\n` +
        Object.entries(result.byK)
          .map(([n, a]) => `  k ${n}: ${a.top1.toFixed(2)} / ${a.top5.toFixed(2)}`)
          .join('\n'),
    );
  } finally {
    await engine.dispose();
  }
}
