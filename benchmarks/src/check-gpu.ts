// Whole training steps compiled for H100s that are not here: the table of docs/gpu.md.
//   npm run check:gpu [-- recipe... vit_small...]          (after: selfsup engine add cuda12 --no-runtime)
// A row that results/gpu-compile.csv has is not compiled again; delete the file to begin anew.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { appendResult, runCommand } from '@selfsup/bench-kit';
import { resolveConfig } from '@selfsup/recipes';
import { RECIPE_NAMES, selection, type RecipeName } from './setting.js';
import { here } from './workers.js';

/** Settings of a paper at one network: another network of the same paper where it has none of its own. */
const PRESETS: Readonly<Record<RecipeName, Readonly<Record<string, string>>>> = {
  simdino: { vit_small: 'imagenet-vitb16', vit_base: 'imagenet-vitb16' },
  dino: { vit_small: 'imagenet-vits16', vit_base: 'imagenet-vitb16' },
  dinov2: { vit_small: 'imagenet-vitl16-short', vit_base: 'imagenet-vitl16-short' },
  simdinov2: { vit_small: 'imagenet-vitb16', vit_base: 'imagenet-vitb16' },
};

/** The most telling rows first: all of them take an hour or two. */
const ORDER = [
  { devices: 1, arch: 'vit_base', precision: 'bf16' },
  { devices: 8, arch: 'vit_base', precision: 'bf16' },
  { devices: 1, arch: 'vit_base', precision: 'f32' },
  { devices: 1, arch: 'vit_small', precision: 'bf16' },
  { devices: 1, arch: 'vit_small', precision: 'f32' },
  { devices: 8, arch: 'vit_base', precision: 'f32' },
  { devices: 8, arch: 'vit_small', precision: 'bf16' },
  { devices: 8, arch: 'vit_small', precision: 'f32' },
] as const;

const RESULTS = here('../results/gpu-compile.csv');
const DOCS = here('../../docs/gpu.md');
const [BEGIN, END] = ['<!-- check:gpu -->', '<!-- /check:gpu -->'];

interface Case {
  readonly devices: number;
  readonly arch: string;
  readonly precision: string;
  readonly recipe: RecipeName;
}

/** What `bench compile --json` prints, as far as the table goes. */
interface Compiled {
  readonly target: string;
  readonly peakMemoryBytes: number;
  readonly fits: boolean;
  readonly flops: number;
  readonly bf16Flops: number;
  readonly bytesAccessed: number;
  readonly rooflineSeconds: number;
  readonly limit: string;
  readonly compileSeconds: number;
  readonly plugin: { name: string; version: string; attributes: { stablehlo_current_version: readonly number[] } };
}

/** Images of the paper on one of its GPUs. */
function imagesPerDevice({ recipe, arch }: Case): number {
  const { batchSize, groups } = resolveConfig({ recipe, preset: PRESETS[recipe][arch] }).config;
  return batchSize / groups;
}

/** Compiles one step in a process of its own: XLA may end it. */
async function compile(each: Case): Promise<Compiled> {
  const { recipe, arch, devices, precision } = each;
  const program = fileURLToPath(new URL('bin/selfsup.js', import.meta.resolve('selfsup/package.json')));
  const how = {
    recipe,
    preset: PRESETS[recipe][arch],
    arch,
    devices,
    precision,
    'batch-size': imagesPerDevice(each) * devices,
  };
  const flags = Object.entries(how).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const { code, stdout, stderr } = await runCommand({
    program: process.execPath,
    args: [program, 'bench', 'compile', ...flags, '--json'],
  });
  if (code === 0) return JSON.parse(stdout) as Compiled;
  throw new Error(stderr.trim().split('\n').at(-1) ?? `ended with code ${code}`);
}

const gigabytes = (bytes: number): string => (bytes / 2 ** 30).toFixed(1);

/** Rows of the results as objects; cells hold no commas. */
function rows(): Record<string, string>[] {
  if (!existsSync(RESULTS)) return [];
  const [header, ...lines] = readFileSync(RESULTS, 'utf8').trim().split('\n');
  const names = header.split(',');
  return lines.map((line) => Object.fromEntries(line.split(',').map((cell, i) => [names[i], cell])));
}

const isDone = (each: Case): boolean =>
  rows().some((row) => Object.entries(each).every(([name, value]) => row[name] === String(value)));

function writeTable(): void {
  const columns: readonly [string, (row: Record<string, string>) => string][] = [
    ['GPUs', (row) => row['devices']],
    ['recipe', (row) => row['recipe']],
    ['network', (row) => (row['arch'] === 'vit_base' ? 'ViT-B/16' : 'ViT-S/16')],
    ['images on each', (row) => row['imagesPerDevice']],
    ['precision', (row) => row['precision']],
    ['peak memory, GB', (row) => row['peakGB'] + (row['fits'] === 'yes' ? '' : ' (does not fit)')],
    ['TFLOP', (row) => row['teraflop']],
    ['traffic, GB', (row) => row['trafficGB']],
    ['step at least, ms', (row) => row['lowerBoundMs']],
    ['set by', (row) => row['limit']],
    ['compiled in, s', (row) => row['compileSeconds']],
  ];
  const found = rows().sort((a, b) => order(a) - order(b));
  const days = [...new Set(found.map((row) => row['date'].slice(0, 10)))].sort().join(', ');
  const [{ target, plugin }] = found;
  const text = [
    BEGIN,
    '',
    `Compiled for ${target}, never run on one. ${days}; plugin ${plugin}, StableHLO ${found[0]['stablehlo']}, Node ${found[0]['node']}.`,
    '',
    `| ${columns.map(([name]) => name).join(' | ')} |`,
    `| ${columns.map(() => '---').join(' | ')} |`,
    ...found.map((row) => `| ${columns.map(([, cell]) => cell(row)).join(' | ')} |`),
    '',
    END,
  ].join('\n');
  const page = readFileSync(DOCS, 'utf8');
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`benchmarks: expected ${BEGIN} and ${END} in ${DOCS}`);
  writeFileSync(DOCS, page.slice(0, from) + text + page.slice(to + END.length));
}

/** One GPU before eight, small networks before large ones, then by recipe and precision. */
function order({ devices, arch, recipe, precision }: Record<string, string>): number {
  const place = [Number(devices), arch === 'vit_base' ? 1 : 0, RECIPE_NAMES.indexOf(recipe as RecipeName)];
  return place.reduce((sum, digit) => sum * 10 + digit, 0) * 10 + (precision === 'f32' ? 0 : 1);
}

const wanted = selection(process.argv.slice(2), { recipes: RECIPE_NAMES, archs: ['vit_small', 'vit_base'] });
for (const how of ORDER) {
  for (const recipe of RECIPE_NAMES) {
    const each: Case = { ...how, recipe };
    if (!wanted.recipes.includes(recipe) || !wanted.archs.includes(how.arch) || isDone(each)) continue;
    const name = `${recipe} ${how.arch} ${how.precision} on ${how.devices}`;
    try {
      const { target, compileSeconds, plugin, ...found } = await compile(each);
      appendResult(RESULTS, {
        target,
        ...each,
        preset: PRESETS[recipe][how.arch],
        imagesPerDevice: imagesPerDevice(each),
        peakGB: gigabytes(found.peakMemoryBytes),
        fits: found.fits ? 'yes' : 'no',
        teraflop: (found.flops / 1e12).toFixed(2),
        bf16Share: (found.bf16Flops / found.flops).toFixed(3),
        trafficGB: gigabytes(found.bytesAccessed),
        lowerBoundMs: (found.rooflineSeconds * 1000).toFixed(1),
        limit: found.limit,
        compileSeconds: compileSeconds.toFixed(0),
        plugin: `${plugin.name} ${plugin.version}`,
        stablehlo: plugin.attributes.stablehlo_current_version.join('.'),
      });
      writeTable();
      process.stdout.write(
        `${name}: ${gigabytes(found.peakMemoryBytes)} GB, compiled in ${compileSeconds.toFixed(0)} s\n`,
      );
    } catch (problem) {
      process.exitCode = 1;
      process.stdout.write(`${name}: ${problem instanceof Error ? problem.message : String(problem)}\n`);
    }
  }
}
