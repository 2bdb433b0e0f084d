import type { KnnResult } from '@selfsup/eval-suite';
import type { PublishedAccuracy } from '@selfsup/recipes';
import type { StepRecord } from '../report/run-record.js';
import type { Deviation } from './deviations.js';

/** Accuracy in percent. */
export type KnnAccuracy = Pick<KnnResult, 'k' | 'top1' | 'top5' | 'byK'>;

/** What a reproduction of a preset gave, with all that is needed to judge and to repeat it. */
export interface ResultCard {
  readonly preset: string;
  /** Where the preset's settings come from. */
  readonly source: string;
  /** When it was written, ISO 8601. */
  readonly written: string;
  /** Whether the numbers may be held against the published ones: nothing deviates, and there are some. */
  readonly comparable: boolean;
  readonly deviations: readonly Deviation[];
  readonly results: {
    readonly steps: number;
    readonly loss: number | undefined;
    readonly knn: KnnAccuracy;
    /** Pictures the k-NN was measured with. */
    readonly pictures: { readonly train: number; readonly test: number; readonly unreadable: number };
  };
  readonly published: PublishedAccuracy | undefined;
  /** k-NN top-1 here less the published one, points; only where comparable. */
  readonly difference: number | undefined;
  /** Settings as they were resolved. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly environment: Readonly<Record<string, unknown>>;
  readonly hashes: Readonly<Record<string, string>>;
  readonly curves: readonly StepRecord[];
}

/** What a card is made from. */
export type CardFacts = Omit<ResultCard, 'comparable' | 'difference' | 'written'>;

/** Only what deviates in nothing is compared. */
export function makeCard(facts: CardFacts): ResultCard {
  const { published, deviations, results } = facts;
  const comparable = published !== undefined && deviations.length === 0;
  return {
    ...facts,
    written: new Date().toISOString(),
    comparable,
    difference: comparable ? results.knn.top1 - published.knn : undefined,
  };
}

/** The card in one sentence. */
export function verdict({ comparable, published, deviations, difference = 0 }: ResultCard): string {
  if (comparable && published !== undefined) {
    const points = `${Math.abs(difference).toFixed(2)} points ${difference < 0 ? 'below' : 'above'}`;
    return `Settings and sizes of the data are those of the published run; k-NN top-1 is ${points} the published ${published.knn.toFixed(1)} %.`;
  }
  const count = `${deviations.length} ${deviations.length === 1 ? 'deviation' : 'deviations'}`;
  if (published === undefined) {
    const how = deviations.length === 0 ? 'as the preset says' : `with ${count} from the preset`;
    return `Run ${how}; no paper reports a number for this preset.`;
  }
  return `NOT A REPRODUCTION: ${count} from the published run. These numbers neither confirm nor refute it.`;
}
