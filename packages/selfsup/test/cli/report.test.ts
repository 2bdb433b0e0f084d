import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { cutLine, ENGINE, inProcess, jsonOf, makeRun } from './in-process.js';
import { makePictures, temporary } from './support.js';

let folder: string;
let data: string;
let run: string;

beforeAll(async () => {
  folder = await temporary();
  data = await makePictures(join(folder, 'pictures'), 12);
  run = await makeRun(join(folder, 'run'), data);
});

/** A page loads nothing: no address but those of namespaces and data URIs. */
function loadsNothing(page: string): void {
  expect(page).not.toMatch(/<script|<link|<iframe|@import/i);
  expect(page.match(/(?:src|href)="(?!data:)[^"]*"/g) ?? []).toEqual([]);
  expect(
    [...page.matchAll(/https?:\/\/[^"'\s<]+/g)].map(([url]) => url).filter((url) => !url.includes('w3.org')),
  ).toEqual([]);
}

describe('report', () => {
  it('of a finished run has curves, pictures, settings, bad files and the environment, and loads nothing', async () => {
    const ended = await inProcess(['report', run, ...ENGINE, '--json']);
    expect(ended.code).toBe(0);
    expect(jsonOf(ended)).toMatchObject({
      out: join(run, 'report.html'),
      state: 'finished',
      steps: 20,
      totalSteps: 20,
      loss: -1.4,
      knn: 42,
      badFiles: 1,
      damagedLines: 0,
    });
    const page = await readFile(join(run, 'report.html'), 'utf8');
    loadsNothing(page);
    for (const id of [
      'loss',
      'accuracy',
      'expansion',
      'rank',
      'std',
      'gradient-ratio',
      'learning-rate',
      'throughput',
      'memory',
    ])
      expect(page).toContain(`id="chart-${id}"`);
    expect(page).toContain('Nearest neighbours');
    expect(page).toContain('head 2');
    expect(page).toContain('discs/&lt;b&gt;&amp;broken.<wbr>png');
    expect(page).toContain('hiddenWidth');
    expect(page).toContain(process.version);
    expect(page).toContain('prefers-color-scheme:dark');
    expect(page).toContain('width=device-width');
    expect(await readdir(run)).not.toContain('lock');
  });

  it('is the same twice, but for the time it was written at', async () => {
    const pages: string[] = [];
    for (const name of ['a.html', 'b.html']) {
      await inProcess(['report', run, ...ENGINE, '--out', join(folder, name)]);
      pages.push((await readFile(join(folder, name), 'utf8')).replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME'));
    }
    expect(pages[1]).toBe(pages[0]);
  });

  it('of an interrupted run whose last line is cut says so and shows the rest', async () => {
    const cut = await makeRun(join(folder, 'cut'), data);
    await cutLine(cut);
    const ended = await inProcess(['report', cut, '--no-pictures', '--json']);
    expect(ended.code).toBe(0);
    expect(jsonOf(ended)).toMatchObject({ damagedLines: 1, steps: 20 });
    expect(await readFile(join(cut, 'report.html'), 'utf8')).toContain('1 line of the logs could not be read');
  });

  it('of a run that has only begun works', async () => {
    const begun = join(folder, 'begun');
    await mkdir(begun);
    await writeFile(join(begun, 'config.json'), '{ "recipe": "sim');
    await writeFile(join(begun, 'metrics.jsonl'), '');
    await writeFile(join(begun, 'lock'), JSON.stringify({ id: 'other', pid: process.pid, host: hostname() }));
    const ended = await inProcess(['report', begun, '--json']);
    expect(ended.code).toBe(0);
    expect(jsonOf(ended)).toMatchObject({ state: 'running', steps: 0 });
    expect(jsonOf(ended)['pictures']).toContain('checkpoint');
    loadsNothing(await readFile(join(begun, 'report.html'), 'utf8'));
  });

  it('says where the pictures have gone, and takes others with --data', async () => {
    const moved = await makeRun(join(folder, 'moved'), join(folder, 'gone'));
    const without = await inProcess(['report', moved, ...ENGINE, '--json']);
    expect(without.code).toBe(0);
    expect(jsonOf(without)['pictures']).toMatch(/gone.*is not there.*--data/);
    const others = await inProcess(['report', moved, ...ENGINE, '--data', data, '--json']);
    expect(jsonOf(others)['pictures']).toMatchObject({ attention: 4 });
  });

  it('of a run with a damaged checkpoint shows everything but the pictures', async () => {
    const damaged = await makeRun(join(folder, 'damaged'), data);
    await writeFile(join(damaged, 'checkpoints', 'step-20', 'state.safetensors'), 'rubbish');
    await rm(join(damaged, 'config.json'));
    const ended = await inProcess(['report', damaged, ...ENGINE, '--json']);
    expect(ended.code).toBe(0);
    expect(jsonOf(ended)['pictures']).toMatch(/does not match its SHA-256/);
    expect(await readFile(join(damaged, 'report.html'), 'utf8')).toContain('hiddenWidth');
  });

  it('refuses what is no run in one line, with exit 2', async () => {
    const file = join(folder, 'file');
    await writeFile(file, '');
    await mkdir(join(folder, 'empty'), { recursive: true });
    for (const [path, fix] of [
      [join(folder, 'nowhere'), 'check the path'],
      [file, 'pass the folder given to --out'],
      [join(folder, 'empty'), 'pass the folder given to --out'],
      [folder, `did you mean ${folder}`],
    ]) {
      const ended = await inProcess(['report', path]);
      expect(ended.code).toBe(2);
      expect(ended.stdout).toBe('');
      expect(ended.stderr.trim().split('\n')).toHaveLength(1);
      expect(ended.stderr).toContain(fix);
    }
  });

  it('refuses an engine that does not exist, and a file that cannot be written', async () => {
    const engine = await inProcess(['report', run, '--engine', 'tfsj', '--json']);
    expect(engine.code).toBe(2);
    expect(jsonOf(engine)['error']).toMatchObject({ code: 'ENGINE_MISSING' });
    const out = await inProcess([
      'report',
      run,
      '--no-pictures',
      '--out',
      join(folder, 'no', 'such', 'x.html'),
      '--json',
    ]);
    expect(out.code).toBe(2);
    expect(jsonOf(out)['error']).toMatchObject({ code: 'RUN_DIRECTORY' });
  });
});
