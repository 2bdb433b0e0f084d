import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Engine } from '@selfsup/compile';
import { pickNamed, SslError } from '@selfsup/core';
import { type Preset, RECIPES } from '@selfsup/recipes';
import { machineFacts } from '../doctor/machine.js';
import { runVersions } from '../doctor/versions.js';
import { chooseEngine } from '../engines.js';
import { curvesOf, lastValue } from '../report/curves.js';
import { isRecord, textAt, type Json } from '../report/json-values.js';
import { readRun, type RunRecord } from '../report/run-record.js';
import { makeCard, verdict, type ResultCard } from '../repro/card.js';
import { cardText } from '../repro/card-text.js';
import { deviationsOf } from '../repro/deviations.js';
import { codeHash, fileHash, listingHash, valueHash } from '../repro/hashes.js';
import { dynamicsSvg } from '../show/dynamics-picture.js';
import { writeWhole } from '../show/write-file.js';
import type { Output } from '../terminal/output.js';
import { configFromFlags } from './config-flags.js';
import { labelledParts, measureKnn, type LabelledParts, type MeasuredKnn } from './eval-knn.js';
import { train, type TrainFlags } from './train.js';

export interface ReproFlags extends Omit<
  TrainFlags,
  'recipe' | 'preset' | 'out' | 'data' | 'init' | 'initPart' | 'teacher'
> {
  /** `recipe/preset`. */
  readonly preset: string;
  readonly data: string;
  /** Run directory; `runs/repro-RECIPE-PRESET` by default. */
  readonly out?: string;
}

/** Neighbours of the votes; papers report 20. */
const K = '10,20,100,200';
const TEMPERATURE = 0.07;
const FEATURE_BATCH = 64;
/** Lines of the curves that a card holds at most. */
const MOST_RECORDS = 500;

interface Chosen {
  readonly recipe: string;
  readonly name: string;
  readonly preset: Preset;
}

/** The preset that `recipe/preset` names. @throws SslError `BAD_OPTION`, `UNKNOWN_NAME` */
function chosenPreset(text: string): Chosen {
  const where = 'selfsup.repro';
  const [recipe, name, ...more] = text.split('/');
  if (name === undefined || more.length > 0) {
    throw new SslError('BAD_OPTION', {
      where,
      expected: 'a recipe and one of its presets, RECIPE/PRESET',
      got: `"${text}"`,
      fix: 'write for example selfsup repro simdino/imagenet-vitb16',
    });
  }
  const { presets } = pickNamed(where, 'a recipe', recipe, RECIPES);
  const preset = pickNamed(where, `a preset of ${recipe}`, name, presets);
  if (recipe !== 'distill') return { recipe, name, preset };
  throw new SslError('BAD_OPTION', {
    where,
    expected: 'a recipe that learns from pictures alone',
    got: text,
    fix: 'use selfsup train distill --teacher PATH, then selfsup eval knn',
  });
}

/**
 * Whether the training of the run in a folder has come to its end, and only its card is missing.
 *
 * @throws SslError `BAD_OPTION` for a run of another preset
 */
async function isTrained(out: string, { recipe, name }: Chosen, totalSteps: number | undefined): Promise<boolean> {
  // What is wrong with a folder that holds no run is said by train.
  const run = await readRun(out).catch(() => undefined);
  const [storedRecipe, storedName] = ['recipe', 'preset'].map((key) => textAt(run?.config, key));
  if (storedName !== undefined && (storedRecipe !== recipe || storedName !== name)) {
    throw new SslError('BAD_OPTION', {
      where: 'selfsup.repro',
      expected: `a run of ${recipe}/${name} in ${out}`,
      got: `one of ${storedRecipe}/${storedName}`,
      fix: `resume it with: selfsup repro ${storedRecipe}/${storedName} --resume --out ${out}, or choose another --out`,
    });
  }
  const wanted = totalSteps ?? run?.totalSteps;
  return wanted !== undefined && (run?.checkpointSteps[0] ?? 0) >= wanted;
}

/** Engine, plugin and devices. */
async function engineFacts(engine: Engine): Promise<{ facts: Json; hashes: Record<string, string> }> {
  const facts = { engine: engine.name, devices: engine.devices().map(({ name }) => name) };
  if (!('plugin' in engine) || typeof engine.plugin !== 'string') return { facts, hashes: {} };
  return { facts: { ...facts, plugin: engine.plugin }, hashes: { plugin: await fileHash(engine.plugin) } };
}

/** Evenly chosen lines, the last one among them. */
function thinned<T>(records: readonly T[]): T[] {
  const every = Math.ceil(records.length / MOST_RECORDS);
  return records.filter((_, i) => (records.length - 1 - i) % every === 0);
}

async function cardOf(
  { recipe, name, preset }: Chosen,
  data: LabelledParts,
  run: RunRecord,
  engine: Engine,
  knn: MeasuredKnn,
): Promise<ResultCard> {
  const { config } = await configFromFlags({ recipe, config: join(run.directory, 'config.json') });
  const { facts, hashes } = await engineFacts(engine);
  const { resolved, environment: trainedOn, ...settings } = run.config ?? {};
  const checkpoint = textAt(run.manifest, 'state.sha256');
  return makeCard({
    preset: `${recipe}/${name}`,
    source: preset.source,
    deviations: deviationsOf(preset, config, data, isRecord(resolved) ? resolved : {}),
    results: {
      steps: run.lastStep,
      loss: lastValue(run, 'loss')?.value,
      knn,
      pictures: { train: data.train.size, test: data.test.size, unreadable: knn.bad.length },
    },
    published: preset.published,
    settings: { ...settings, ...(isRecord(resolved) ? { resolved } : {}) },
    environment: {
      ...machineFacts(),
      ...facts,
      versions: runVersions(),
      ...(isRecord(trainedOn) ? { trainedOn } : {}),
    },
    hashes: {
      settings: valueHash(settings),
      code: codeHash(dirname(createRequire(import.meta.url).resolve('selfsup/package.json'))),
      'data (names and labels)': listingHash([data.train, data.test]),
      ...(checkpoint === undefined ? {} : { checkpoint }),
      ...hashes,
    },
    curves: thinned(run.records),
  });
}

/** `selfsup repro RECIPE/PRESET`: trains, evaluates, and writes a card with the numbers beside the published ones. */
export async function repro(flags: ReproFlags, output: Output): Promise<void> {
  const chosen = chosenPreset(flags.preset);
  const { recipe, name } = chosen;
  const out = flags.out ?? join('runs', `repro-${recipe}-${name}`);
  const data = await labelledParts(flags.data);
  const trainFlags: TrainFlags = { ...flags, recipe, preset: name, out, initPart: 'backbone' };
  if (flags.resume === true && (await isTrained(out, chosen, flags.steps)))
    output.note(`${out} is trained; evaluating it`);
  else await train(trainFlags, { ...output, result: (_, text) => output.note(text.split('\n')[0]) });

  const engine = await chooseEngine(flags);
  try {
    const knn = await measureKnn(
      engine,
      { checkpoint: out, k: K, temperature: TEMPERATURE, batchSize: FEATURE_BATCH },
      data,
      output,
    );
    const run = await readRun(out);
    const card = await cardOf(chosen, data, run, engine, knn);
    const curves = curvesOf(run);
    const picture = 'curves.svg';
    if (curves.length > 0) await writeWhole(join(out, picture), dynamicsSvg(curves, card.preset));
    await writeWhole(join(out, 'card.json'), `${JSON.stringify(card, null, 2)}\n`);
    const text = join(out, 'card.md');
    await writeWhole(text, cardText(card, curves.length > 0 ? picture : undefined));
    const { comparable, deviations, results, published, difference, hashes } = card;
    output.result(
      { preset: card.preset, comparable, deviations, ...results, published, difference, hashes, out, card: text },
      `k-NN top-1 ${results.knn.top1.toFixed(2)} % (k ${results.knn.k}) after ${results.steps} steps\n${verdict(card)}\nwrote ${text}`,
    );
  } finally {
    await engine.dispose();
  }
}
