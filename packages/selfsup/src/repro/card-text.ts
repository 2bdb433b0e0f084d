import { inOneLine, leaves } from '../report/json-values.js';
import { verdict, type ResultCard } from './card.js';

const cell = (value: unknown): string => inOneLine(value).replaceAll('|', '\\|').replace(/\s+/g, ' ');

function table(head: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const line = (cells: readonly unknown[]): string => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

const percent = (value: number | undefined): string => (value === undefined ? '-' : `${value.toFixed(2)} %`);

function results({ results: { steps, loss, knn, pictures }, published, comparable }: ResultCard): string {
  const paper = `published (${published?.source ?? 'none'})${comparable || published === undefined ? '' : ', of another run'}`;
  const rows = Object.entries(knn.byK).map(([k, { top1, top5 }]) => [
    `k-NN, k ${k}`,
    percent(top1),
    percent(top5),
    Number(k) === knn.k ? percent(published?.knn) : '-',
  ]);
  const bad = pictures.unreadable === 0 ? '' : `, ${pictures.unreadable} could not be read`;
  return [
    table(['measure', 'top-1', 'top-5', paper], [...rows, ['linear', 'not measured', '-', percent(published?.linear)]]),
    `k-NN of ${pictures.test} held-out pictures among ${pictures.train} others${bad}. Last loss ${loss?.toFixed(4) ?? 'not recorded'} after ${steps} steps.`,
  ].join('\n\n');
}

/** A card as Markdown, with the picture of its curves beside it. */
export function cardText(card: ResultCard, curves: string | undefined): string {
  const { preset, source, written, deviations, settings, environment, hashes } = card;
  const names = ['setting', 'preset or published run', 'here'];
  const parts: [string, string][] = [
    [
      'Deviations',
      deviations.length === 0
        ? 'None.'
        : table(
            names,
            deviations.map((one) => [one.what, one.preset, one.here]),
          ),
    ],
    ['Results', results(card)],
    ['Curves', curves === undefined ? 'None were recorded.' : `![curves](${curves})`],
    ['Settings', table(['setting', 'value'], leaves(settings))],
    ['Environment', table(['what', 'value'], leaves(environment))],
    ['SHA-256', table(['of', 'hash'], Object.entries(hashes))],
  ];
  return [
    `# ${preset}`,
    `**${verdict(card)}**`,
    `Settings: ${source}. Written ${written}.`,
    ...parts.map(([title, text]) => `## ${title}\n\n${text}`),
    '',
  ].join('\n\n');
}
