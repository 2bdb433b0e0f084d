import { collapseAlarm } from '@selfsup/recipes';
import { shortNumber } from './chart/scale.js';
import { lineChart } from './chart/line-chart.js';
import { curvesOf, lastValue, type Curve } from './curves.js';
import { inOneLine, isRecord, leaves, numberAt, textAt, valueAt, type Json } from './json-values.js';
import { escapeMarkup } from './markup.js';
import { pageStyle } from './page-style.js';
import { attentionSection, neighbourSection } from './picture-sections.js';
import type { RunPictures } from './run-pictures.js';
import type { RunRecord } from './run-record.js';

/** Everything a report shows. */
export interface ReportContent {
  readonly run: RunRecord;
  /** Pictures, or why there are none. */
  readonly pictures: RunPictures | { readonly missing: string };
  /** Where and by what the report was made: lines of a table. */
  readonly madeBy: Readonly<Record<string, string>>;
}

const h = escapeMarkup;

const STATES: Readonly<Record<RunRecord['state'], string>> = {
  running: 'running',
  finished: 'finished',
  stopped: 'not finished',
};

/** Bad files named one by one; the others are counted. */
const LISTED_BAD_FILES = 100;

function header({ name, state, config, directory }: RunRecord): string {
  const facts = ['recipe', 'preset', 'arch', 'resolved.engine'].flatMap((path) => textAt(config, path) ?? []);
  return (
    `<header><h1>${h(name)} <span class="state ${state}">${STATES[state]}</span></h1>` +
    `<p class="sub">${h([...facts, directory].join(' · '))}</p></header>`
  );
}

function tiles(run: RunRecord): string {
  const of = (path: string, label: string, unit = '', divisor = 1): [string, string][] => {
    const last = lastValue(run, path);
    return last === undefined
      ? []
      : [[`${shortNumber(last.value / divisor, 4)}${unit}`, `${label}, step ${last.step}`]];
  };
  const total = run.totalSteps === undefined ? '' : ` of ${run.totalSteps}`;
  const shown: [string, string][] = [
    [`${run.lastStep}${total}`, 'steps'],
    ...of('loss', 'loss'),
    ...of('knn.top1', 'k-NN top-1', ' %'),
    ...of('effectiveRank', 'effective rank'),
    ...of('imagesPerSecond', 'images a second'),
    ...of('memoryBytes', 'peak memory', ' MB', 2 ** 20),
    [String(run.badFiles.length), 'bad files'],
  ];
  return `<div class="tiles">${shown.map(([value, label]) => `<div class="tile"><b>${h(value)}</b><span>${h(label)}</span></div>`).join('')}</div>`;
}

/** The trainer's own alarm, on the last record after warm-up. */
function alarmOf(run: RunRecord): string | undefined {
  const at = (path: string): number | undefined => lastValue(run, path)?.value;
  const [featureStd, effectiveRank] = [at('featureStd'), at('effectiveRank')];
  if (featureStd === undefined || effectiveRank === undefined) return undefined;
  if (run.lastStep <= (numberAt(run.config, 'resolved.warmupSteps') ?? 0)) return undefined;
  const [expansion, expansionMax, expansionCollapsed] = [
    at('parts.expansion'),
    at('expansionMax'),
    at('expansionCollapsed'),
  ];
  const bounded = expansion !== undefined && expansionMax !== undefined && expansionCollapsed !== undefined;
  return collapseAlarm({
    featureStd,
    effectiveRank,
    ...(bounded ? { expansionMax, expansionCollapsed, parts: { expansion } } : { parts: {} }),
  });
}

function notes(run: RunRecord): string {
  const alarm = alarmOf(run);
  const lines = [...(alarm === undefined ? [] : [alarm]), ...run.notes];
  return lines.map((line) => `<p class="note">${h(line)}</p>`).join('');
}

function chartCard(curve: Curve): string {
  const { id, title, caption } = curve;
  return (
    `<figure class="card" id="chart-${h(id)}"><h3>${h(title)}</h3>${lineChart({ ...curve, label: title })}` +
    `<figcaption>${h(caption)}</figcaption></figure>`
  );
}

function curves(run: RunRecord): string {
  const all = curvesOf(run);
  if (all.length === 0) return `<p class="muted">Nothing has been recorded yet.</p>`;
  const evaluated = all.some(({ id }) => id === 'accuracy');
  const hint = evaluated
    ? ''
    : `<p class="muted">No k-NN accuracy was recorded while training. To measure it now: <code>selfsup eval knn --checkpoint ${h(run.directory)} --data DIR</code></p>`;
  return `<div class="charts">${all.map(chartCard).join('')}</div>${hint}`;
}

/** A name that may be broken where its words meet. */
const breakable = (name: string): string =>
  h(name)
    .replace(/([a-z])([A-Z])/g, '$1<wbr>$2')
    .replaceAll('.', '.<wbr>');

const table = (rows: readonly (readonly [string, string])[]): string =>
  `<table>${rows.map(([name, value]) => `<tr><th scope="row">${breakable(name)}</th><td>${h(value)}</td></tr>`).join('')}</table>`;

/** Top-level settings together, then a card for each group; what follows from them comes first. */
function configuration({ config }: RunRecord): string {
  if (config === undefined) return `<p class="muted">The configuration cannot be read.</p>`;
  const { resolved, environment, ...settings } = config;
  void environment;
  const groups: [string, [string, unknown][]][] = [
    ...(isRecord(resolved) ? [['What follows from it', leaves(resolved)] as [string, [string, unknown][]]] : []),
    ['Run', Object.entries(settings).filter(([, value]) => !isRecord(value))],
    ...Object.entries(settings).flatMap(([key, value]): [string, [string, unknown][]][] =>
      isRecord(value) ? [[key, leaves(value)]] : [],
    ),
  ];
  const cards = groups.map(
    ([title, rows]) =>
      `<div class="card"><h3>${h(title)}</h3>${table(rows.map(([name, value]) => [name, inOneLine(value)]))}</div>`,
  );
  return (
    `<div class="groups">${cards.join('')}</div>` +
    `<details><summary>config.json as it is</summary><pre>${h(JSON.stringify(config, undefined, 2))}</pre></details>`
  );
}

function badFiles({ badFiles: files }: RunRecord): string {
  if (files.length === 0) return `<p class="muted">None: every picture could be read.</p>`;
  const line = (file: Json): [string, string] => [
    inOneLine(file['name'] ?? file['path'] ?? '?'),
    inOneLine(file['message'] ?? file['reason'] ?? ''),
  ];
  const more = files.length - LISTED_BAD_FILES;
  return (
    `<div class="card">${table(files.slice(0, LISTED_BAD_FILES).map(line))}</div>` +
    (more > 0 ? `<p class="muted">and ${more} more in bad-files.jsonl</p>` : '')
  );
}

function environment({ run, madeBy }: ReportContent): string {
  const { config, manifest, checkpointSteps } = run;
  const versions = valueAt(manifest, 'versions');
  const stored = valueAt(config, 'environment') ?? valueAt(config, 'resolved.environment');
  const engine = textAt(config, 'resolved.engine');
  const savedAt = textAt(manifest, 'savedAt');
  const bytes = numberAt(manifest, 'state.bytes');
  const trained: [string, string][] = [
    ...(engine === undefined ? [] : [['engine', engine] as [string, string]]),
    ...(isRecord(stored) ? leaves(stored) : []).map(([name, value]): [string, string] => [name, inOneLine(value)]),
    ...(isRecord(versions) ? Object.entries(versions) : []).map(([name, value]): [string, string] => [
      name,
      inOneLine(value),
    ]),
    ['checkpoints', checkpointSteps.length === 0 ? 'none' : checkpointSteps.map((step) => `step ${step}`).join(', ')],
    ...(savedAt === undefined ? [] : [['last saved', savedAt] as [string, string]]),
    ...(bytes === undefined ? [] : [['size', `${(bytes / 2 ** 20).toFixed(1)} MB`] as [string, string]]),
  ];
  return (
    `<div class="groups"><div class="card"><h3>The run</h3>${table(trained)}</div>` +
    `<div class="card"><h3>This report</h3>${table(Object.entries(madeBy))}</div></div>`
  );
}

async function pictureSections(pictures: ReportContent['pictures']): Promise<string> {
  if ('missing' in pictures) {
    return `<h2>Nearest neighbours and attention</h2><p class="muted">${h(pictures.missing)}</p>`;
  }
  return `${await neighbourSection(pictures)}${await attentionSection(pictures)}`;
}

/** The whole report as one HTML page that loads nothing. */
export async function reportPage(content: ReportContent): Promise<string> {
  const { run } = content;
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width,initial-scale=1">',
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">`,
    `<title>${h(run.name)} · selfsup</title><style>${pageStyle()}</style></head><body><main>`,
    header(run),
    tiles(run),
    notes(run),
    `<h2>Curves</h2>${curves(run)}`,
    await pictureSections(content.pictures),
    `<h2>Configuration</h2>${configuration(run)}`,
    `<h2>Bad files</h2>${badFiles(run)}`,
    `<h2>Environment</h2>${environment(content)}`,
    `<footer>Written by selfsup report. Values of a step show under the pointer.</footer>`,
    '</main></body></html>\n',
  ].join('\n');
}
