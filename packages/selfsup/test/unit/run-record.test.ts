import { mkdir, mkdtemp, readFile, writeFile, utimes } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { propertyOptions } from '@selfsup/test-kit';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { curvesOf, lastValue } from '../../src/report/curves.js';
import { reportPage } from '../../src/report/page.js';
import { readRun } from '../../src/report/run-record.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selfsup-run-record-'));
});

const write = (name: string, text: string): Promise<void> => writeFile(join(folder, name), text);

const RECORD = {
  loss: -1.5,
  parts: { compression: 0.6, expansion: 0.9 },
  featureStd: 0.1,
  effectiveRank: 5,
  expansionMax: 2,
  expansionCollapsed: 0.2,
};
const lines = (steps: number): string =>
  Array.from({ length: steps }, (_, i) => `${JSON.stringify({ step: i + 1, ...RECORD })}\n`).join('');

const page = async (): Promise<string> =>
  reportPage({ run: await readRun(folder), pictures: { missing: 'none' }, madeBy: { selfsup: '0' } });

describe('a run whose metrics are cut anywhere', () => {
  it('keeps every whole line and still makes a page', async () => {
    const whole = Buffer.from(lines(4));
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: whole.length }), async (length) => {
        const cut = whole.subarray(0, length).toString();
        await write('metrics.jsonl', cut);
        const { records, damagedLines } = await readRun(folder);
        const complete = cut.split('\n').length - 1;
        const last = cut.split('\n').at(-1) ?? '';
        // A last line that lacks only its line feed is as good as the others.
        expect(records).toHaveLength(last.endsWith('}}') || last.endsWith('0.2}') ? complete + 1 : complete);
        expect(damagedLines).toBe(last === '' || records.length > complete ? 0 : 1);
        expect(await page()).toContain('</html>');
      }),
      propertyOptions(25),
    );
  });

  it('stands for lines that are no records', async () => {
    await write(
      'metrics.jsonl',
      `null\n[1]\n"x"\n{}\n{"step":"two"}\n{"step":2,"loss":"NaN"}\n\u0000\u0000\n${lines(1)}`,
    );
    const run = await readRun(folder);
    expect(run.records.map(({ step }) => step)).toEqual([1, 2]);
    expect(run.records[1].values['loss']).toBeNaN();
    expect(run.damagedLines).toBe(4);
    expect(await page()).toContain('</html>');
  });

  it('puts lines of one step together', async () => {
    await write('metrics.jsonl', `${lines(2)}{"step":2,"knn":{"top1":31.5}}\n`);
    const run = await readRun(folder);
    expect(run.records).toHaveLength(2);
    expect(run.records[1].values).toMatchObject({ loss: -1.5, 'knn.top1': 31.5, 'parts.expansion': 0.9 });
    expect(lastValue(run, 'knn.top1')).toEqual({ step: 2, value: 31.5 });
  });
});

describe('what a run directory lacks', () => {
  it('is named, and the rest is read', async () => {
    await write('metrics.jsonl', '');
    await write('config.json', '{"recipe": "simd');
    const run = await readRun(folder);
    expect(run.notes).toEqual([
      'no checkpoint has been saved yet',
      'config.json cannot be read',
      'no metrics have been recorded yet',
    ]);
    expect(run).toMatchObject({ state: 'stopped', lastStep: 0, totalSteps: undefined, records: [] });
    expect(await page()).toContain('Nothing has been recorded yet.');
  });

  it('is taken from the checkpoint where that has it', async () => {
    await mkdir(join(folder, 'checkpoints', 'step-7'), { recursive: true });
    await mkdir(join(folder, 'checkpoints', '.step-9.tmp'), { recursive: true });
    const manifest = { config: { recipe: 'simdino', length: { steps: 9 } }, versions: { a: '1' } };
    await write(join('checkpoints', 'step-7', 'manifest.json'), JSON.stringify(manifest));
    const run = await readRun(folder);
    expect(run).toMatchObject({ lastStep: 7, totalSteps: 9, checkpointSteps: [7] });
    expect(run.notes).toContain('config.json is missing; the configuration is that of the checkpoint');
    expect(await page()).toContain('simdino');
  });

  it('does not matter to a page of settings of any shape', async () => {
    await write('config.json', JSON.stringify({ a: null, b: [1, { c: [] }], d: { e: { f: '<i>' } }, resolved: 'odd' }));
    expect(await page()).toContain('&lt;i&gt;');
  });
});

describe('the state of a run', () => {
  const total = (steps: number): Promise<void> =>
    write('config.json', JSON.stringify({ resolved: { totalSteps: steps } }));

  it('is finished at its last step, stopped before it', async () => {
    await write('metrics.jsonl', lines(3));
    await total(3);
    expect((await readRun(folder)).state).toBe('finished');
    await total(4);
    expect((await readRun(folder)).state).toBe('stopped');
  });

  it('is running while a living process holds the lock', async () => {
    await total(4);
    await write('lock', JSON.stringify({ id: 'a', pid: process.pid, host: hostname() }));
    expect((await readRun(folder)).state).toBe('running');
    await write('lock', JSON.stringify({ id: 'b', pid: 2 ** 22 + 1, host: hostname() }));
    expect((await readRun(folder)).state).toBe('stopped');
    await write('lock', JSON.stringify({ id: 'c', pid: 1, host: 'elsewhere' }));
    expect((await readRun(folder)).state).toBe('running');
    await write('lock', ''); // by a process that is still writing it, or one that died while it did
    expect((await readRun(folder)).state).toBe('running');
    await utimes(join(folder, 'lock'), 0, 0);
    expect((await readRun(folder)).state).toBe('stopped');
  });
});

describe('curves', () => {
  const ids = async (): Promise<string[]> => curvesOf(await readRun(folder)).map(({ id }) => id);

  it('of SimDINO and of DINO are those that were recorded, and numbers nobody knows get their own', async () => {
    await write('config.json', '{}');
    await write('metrics.jsonl', lines(2));
    expect(await ids()).toEqual(['loss', 'expansion', 'rank', 'std']);
    const dino = { step: 1, loss: 3, parts: { teacherEntropy: 2, divergence: 1 }, centerNorm: 4, effectiveRank: 5 };
    await write('metrics.jsonl', JSON.stringify(dino));
    expect(await ids()).toEqual(['loss', 'rank', 'centerNorm']);
    const [loss, , center] = curvesOf(await readRun(folder));
    expect(loss.series.map(({ name }) => name)).toEqual(['loss', 'teacher entropy', 'divergence']);
    expect(loss.caption).toContain('Divergence');
    expect(center.title).toBe('Center norm');
  });

  it('raise the alarm of the trainer when features collapse, but not while warming up', async () => {
    await write('metrics.jsonl', JSON.stringify({ step: 50, ...RECORD, parts: { compression: 1, expansion: 0.21 } }));
    await write('config.json', JSON.stringify({ resolved: { warmupSteps: 10, totalSteps: 100 } }));
    expect(await page()).toContain('close to collapse');
    await write('config.json', JSON.stringify({ resolved: { warmupSteps: 60, totalSteps: 100 } }));
    expect(await page()).not.toContain('close to collapse');
  });

  it('compare the spread of features with an even one where that is known', async () => {
    await write('metrics.jsonl', lines(2));
    await write('config.json', JSON.stringify({ recipe: 'simdino', head: { width: 64 } }));
    const std = curvesOf(await readRun(folder)).find(({ id }) => id === 'std');
    expect(std?.series.map(({ name }) => name)).toEqual(['feature std', 'spread evenly']);
    expect(std?.series[1].points[0][1]).toBe(1 / 8);
  });
});

it('a page names its bad files and keeps their names from being markup', async () => {
  await write('metrics.jsonl', lines(1));
  await write('bad-files.jsonl', '{"name":"<script>alert(1)</script>","message":"a & b"}\n{"na');
  const text = await page();
  expect(text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
  expect(text).not.toContain('<script');
  expect(await readFile(join(folder, 'bad-files.jsonl'), 'utf8')).toContain('{"na');
});
