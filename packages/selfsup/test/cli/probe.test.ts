import { cp, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { lastJson, losses, makePictures, selfsup, temporary, TINY } from './support.js';

let folder: string;
let data: string;

beforeAll(async () => {
  folder = await temporary();
  data = await makePictures(join(folder, 'pictures'), 30);
});

interface Row {
  readonly step: number;
  readonly loss: number;
  readonly knn?: { readonly top1: number };
  readonly probe?: { readonly top1: number };
}

const rows = async (run: string): Promise<Row[]> =>
  (await readFile(join(run, 'metrics.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Row);

describe('the probe of train', () => {
  it('writes accuracies that the report shows, and changes no loss', async () => {
    const [out, without] = [join(folder, 'probed'), join(folder, 'plain')];
    const args = ['train', 'simdino', '--data', data, ...TINY, '--steps', '6'];
    const run = await selfsup([...args, '--probe-every', '2', '--probe-images', '30', '--out', out, '--json']);
    expect(run.code).toBe(0);
    expect(run.stderr).toMatch(/probe: accuracy on \d+ held-out pictures/);
    const found = await rows(out);
    expect(found.filter(({ knn }) => knn !== undefined).map(({ step }) => step)).toEqual([2, 4, 6]);
    const last = found[found.length - 1];
    expect(lastJson(run)).toMatchObject({ knn: last.knn, probe: last.probe });
    await selfsup([...args, '--probe-every', '0', '--out', without]);
    expect((await rows(without)).some(({ knn }) => knn !== undefined)).toBe(false);
    expect(await losses(out)).toEqual(await losses(without));

    const report = await selfsup(['report', out, '--no-pictures', '--json']);
    expect(report.code).toBe(0);
    expect(await readFile(join(out, 'report.html'), 'utf8')).toMatch(/Accuracy while training/);
  });

  it('is off in a run too short for it to cost little, and says so', async () => {
    const out = join(folder, 'short');
    const run = await selfsup(['train', 'simdino', '--data', data, ...TINY, '--steps', '2', '--out', out, '--json']);
    expect(run.code).toBe(0);
    expect(run.stderr).toMatch(/no probe: .* of 2 steps \(--probe-every 2: at the end\)/);
    expect(lastJson(run)).not.toHaveProperty('knn');
  });

  it('is off where pictures have no labels, and says so', async () => {
    const flat = join(folder, 'flat');
    await mkdir(flat);
    await cp(join(data, 'discs'), flat, { recursive: true });
    const out = join(folder, 'unlabelled');
    const run = await selfsup(['train', 'simdino', '--data', flat, ...TINY, '--steps', '2', '--out', out, '--json']);
    expect(run.code).toBe(0);
    expect(run.stderr).toMatch(/no probe: the pictures have no labels/);
    expect(lastJson(run)).not.toHaveProperty('knn');
  });

  it.each([
    ['--probe-every', '-1'],
    ['--probe-images', '2'],
  ])('refuses %s %s', async (flag, value) => {
    const { code, stderr } = await selfsup(['train', 'simdino', '--data', data, flag, value]);
    expect(code).toBe(2);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});
