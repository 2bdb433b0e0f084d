/**
 * Which package may import which (design: arrows point one way). A building block knows `core`, `ops` and tfjs-core;
 * where it needs something fast or large, a function is handed in.
 *
 * @typedef {{ readonly ours: readonly string[], readonly tfjsUnion?: readonly string[] | 'everywhere' }} Direction
 * `ours`: packages of this repository it may import. `tfjsUnion`: files that may import the `@tensorflow/tfjs` union
 * (and backends), which registers kernels and gradients as it loads.
 */

const block = { ours: ['core', 'ops'] };
const blocks = [
  'augment-multicrop',
  'backbone-vit',
  'checkpoint',
  'datasets',
  'ema-distill',
  'eval-suite',
  'loss-coding-rate',
  'optim',
];
const engine = { ours: ['core', 'compile'] };

/** @type {Readonly<Record<string, Direction>>} */
export const importDirections = {
  core: { ours: [] },
  ops: { ours: ['core'] },
  compile: { ours: ['core', 'ops'], tfjsUnion: ['src/node.ts'] },
  'engine-onnxruntime': engine,
  'engine-xla': engine,
  ...Object.fromEntries(blocks.map((name) => [name, block])),
  recipes: { ours: ['core', 'ops', 'compile', ...blocks] },
  selfsup: {
    ours: ['core', 'ops', 'compile', 'engine-onnxruntime', 'engine-xla', 'recipes', ...blocks],
    tfjsUnion: 'everywhere',
  },
};

const TFJS_UNION = '^@tensorflow/tfjs(?!-core$)';

/** What a package's sources must not import, as regular expressions with the reason. */
function forbidden(name, { ours }, tfjsUnion) {
  const allowed = ours.map((other) => `(?!${other}(?:/|$))`).join('');
  const may = ours.length === 0 ? 'nothing of ours' : ours.join(', ');
  return [
    { regex: `^(?:@selfsup/${allowed}|selfsup(?:/|$))`, message: `${name} may import ${may}; hand in what it needs.` },
    { regex: '^\\.{1,2}/.*/src/', message: 'Import another package by its name.' },
    ...(tfjsUnion
      ? []
      : [
          {
            regex: TFJS_UNION,
            message: 'Import @tensorflow/tfjs-core; the union changes tfjs for everybody as it loads.',
          },
        ]),
  ];
}

/** An import() expression whose argument matches. */
function dynamicImport({ regex, message }) {
  return { selector: `ImportExpression[source.value=/${regex.replaceAll('/', '\\u002F')}/]`, message };
}

/**
 * Lint configurations that hold the table, one per package and kind of file.
 *
 * @param {readonly { selector: string, message: string }[]} syntax - What else is banned in sources: the rule
 * no-restricted-syntax of a later configuration replaces an earlier one, so all of it is said here.
 */
export function importDirectionConfigs(syntax = []) {
  const config = (files, ignores, patterns) => ({
    files,
    ignores,
    rules: {
      'no-restricted-imports': ['error', { patterns }],
      'no-restricted-syntax': ['error', ...syntax, ...patterns.map(dynamicImport)],
    },
  });
  return Object.entries(importDirections).flatMap(([name, direction]) => {
    const { tfjsUnion = [] } = direction;
    const here = (file) => `packages/${name}/${file}`;
    if (tfjsUnion === 'everywhere') return [config([here('src/**/*.ts')], [], forbidden(name, direction, true))];
    const free = tfjsUnion.map(here);
    const strict = config([here('src/**/*.ts')], free, forbidden(name, direction, false));
    return free.length === 0 ? [strict] : [strict, config(free, [], forbidden(name, direction, true))];
  });
}
