import type { Preset, RecipeConfig } from '@selfsup/recipes';
import type { LabelledParts } from '../commands/eval-knn.js';
import { isRecord, inOneLine, leaves, type Json } from '../report/json-values.js';

/** Something that is not as in the preset or in the published run. */
export interface Deviation {
  /** Setting by path, `data` or `precision`. */
  readonly what: string;
  readonly preset: string;
  readonly here: string;
}

/** Settings that change no number of a run, or that no paper tells. */
const WITHOUT_EFFECT = ['preset', 'accumulate', 'seed', 'log', 'probe', 'maxBadFraction', 'backbone.dropPathRows'];

/** ImageNet-1k: classes, and pictures to learn from and to test with. */
const IMAGENET = { classes: 1000, train: 1_281_167, test: 50_000 } as const;

const settings = (config: RecipeConfig): Map<string, string> =>
  new Map<string, string>(
    leaves(config as unknown as Json)
      .filter(([path]) => !WITHOUT_EFFECT.some((name) => `${path}.`.startsWith(`${name}.`)))
      .map(([path, value]) => [path, isRecord(value) || Array.isArray(value) ? inOneLine(value) : String(value)]),
  );

/** Settings of a run that are not the preset's. */
function settingDeviations(preset: RecipeConfig, config: RecipeConfig): Deviation[] {
  const [expected, found] = [settings(preset), settings(config)];
  return [...new Set([...expected.keys(), ...found.keys()])]
    .map((what) => ({ what, preset: expected.get(what) ?? 'not set', here: found.get(what) ?? 'not set' }))
    .filter((one) => one.preset !== one.here);
}

const inWords = ({ classes, train, test }: { classes: number; train: number; test: number }): string =>
  `${train} pictures of ${classes} classes, ${test} held out`;

function dataDeviation({ classes, train, test }: LabelledParts): Deviation[] {
  const here = { classes: classes.length, train: train.size, test: test.size };
  const same = here.classes === IMAGENET.classes && here.train === IMAGENET.train && here.test === IMAGENET.test;
  return same ? [] : [{ what: 'data', preset: `ImageNet-1k: ${inWords(IMAGENET)}`, here: inWords(here) }];
}

/** Settings that held up to some step of a resumed run and are not the preset's, whatever came after. */
function earlierDeviations(preset: RecipeConfig, resolved: Json): Deviation[] {
  const expected = settings(preset).set('precision', 'f32');
  const changes = Array.isArray(resolved['changes']) ? resolved['changes'].filter(isRecord) : [];
  return changes.flatMap(({ untilStep, settings: held }) =>
    Object.entries(isRecord(held) ? held : {})
      .filter(([path, value]) => expected.get(path) !== value && !WITHOUT_EFFECT.includes(path))
      .map(([path, value]) => ({
        what: `${path} up to step ${String(untilStep)}`,
        preset: expected.get(path) ?? 'not set',
        here: String(value),
      })),
  );
}

/**
 * Everything about a run that is not as its preset, and as the published run where there is one, has it.
 *
 * @param resolved - What `config.json` says beside the settings: precision, start weights, changes on the way.
 */
export function deviationsOf(preset: Preset, config: RecipeConfig, data: LabelledParts, resolved: Json): Deviation[] {
  const { precision = 'f32', init, initPart } = resolved;
  return [
    ...(preset.published === undefined ? [] : dataDeviation(data)),
    ...settingDeviations(preset.config, config),
    ...(precision === 'f32' ? [] : [{ what: 'precision', preset: 'f32', here: String(precision) }]),
    ...(init === undefined
      ? []
      : [{ what: 'start weights', preset: 'random', here: `${String(initPart)} of ${String(init)}` }]),
    ...earlierDeviations(preset.config, resolved),
  ];
}
