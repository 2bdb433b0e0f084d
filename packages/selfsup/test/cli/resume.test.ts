import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { lastJson, makePictures, selfsup, temporary, TINY, type Finished } from './support.js';

let folder: string;
let data: string;
let out: string;

beforeAll(async () => {
  folder = await temporary();
  data = await makePictures(join(folder, 'data'), 20);
  out = join(folder, 'run');
  const flags = [...TINY, '--seed', '3', '--steps', '2'];
  expect((await selfsup(['train', 'simdino', '--data', data, ...flags, '--out', out])).code).toBe(0);
});

const read = async (directory: string): Promise<string> => readFile(join(directory, 'config.json'), 'utf8');
const resume = (directory: string, ...flags: string[]): Promise<Finished> =>
  selfsup(['train', 'simdino', '--data', data, '--resume', '--out', directory, ...flags, '--json']);

/** A run of its own for each test that goes on with it. */
async function copyOfRun(name: string): Promise<string> {
  await cp(out, join(folder, name), { recursive: true });
  return join(folder, name);
}

describe('a run without --out', () => {
  it('gets a folder of its own, and is the one that goes on', async () => {
    const home = await temporary();
    const train = async (...flags: string[]): Promise<unknown> =>
      lastJson(await selfsup(['train', 'simdino', ...flags, '--json'], home));
    const anew = ['--data', data, ...TINY, '--steps', '1'];
    expect(await train(...anew)).toMatchObject({ out: 'runs/simdino' });
    expect(await train(...anew)).toMatchObject({ out: 'runs/simdino-2' });
    expect(await train('--resume', '--steps', '2')).toMatchObject({ out: 'runs/simdino-2', steps: 2 });
    const misspelt = await selfsup(['train', 'simdion', '--resume'], home);
    expect(misspelt).toMatchObject({ code: 2, stderr: expect.stringMatching(/did you mean "simdino"/) });
  });
});

describe('a resumed run', () => {
  it('keeps its settings, also beside a file of some others', async () => {
    const copy = await copyOfRun('kept');
    const before = JSON.parse(await read(copy)) as Record<string, unknown>;
    await writeFile(join(folder, 'log.json'), '{"log":{"everySteps":1}}');
    expect((await resume(copy, '--config', join(folder, 'log.json'), '--steps', '3')).code).toBe(0);
    const after = JSON.parse(await read(copy)) as Record<string, unknown>;
    for (const key of ['seed', 'batchSize', 'preset', 'backbone', 'crops', 'optimizer', 'teacher'])
      expect(after[key]).toEqual(before[key]);
    expect(after).toMatchObject({ seed: 3, log: { everySteps: 1 } });
  });

  it('says and stores which settings change on the way', async () => {
    const copy = await copyOfRun('changed');
    const { code, stderr } = await resume(copy, '--seed', '4', '--steps', '3');
    expect(code).toBe(0);
    expect(stderr).toMatch(/other settings than up to step 2: .*seed 3 -> 4/);
    expect(JSON.parse(await read(copy))).toMatchObject({
      seed: 4,
      resolved: { changes: [{ untilStep: 2, settings: { seed: '3' } }] },
    });
  });

  it.each([
    ['another preset', ['--preset', 'demo'], /run of the preset demo .* got a run of cifar-tiny/],
    ['weights to start from', ['--init', '.'], /either --resume or --init/],
    ['another network', ['--set', 'head.width=24'], /mis-shaped/],
    ['an impossible setting', ['--set', 'head.layers=0'], /head.layers as a whole number/],
  ])('does not take %s: exit 2, and it stays as it is', async (_, flags, message) => {
    const before = await read(out);
    const { code, stderr } = await resume(out, '--steps', '3', ...flags);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(await read(out)).toBe(before);
  });

  it('is none of the demo', async () => {
    const before = await read(out);
    const { code, stderr } = await selfsup(['demo', '--resume', '--out', out]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/run of the preset demo/);
    expect(await read(out)).toBe(before);
  });

  it('counts unreadable files once', async () => {
    const damaged = join(folder, 'damaged');
    await cp(data, damaged, { recursive: true });
    await writeFile(join(damaged, 'discs', 'broken.png'), 'no picture');
    const run = join(folder, 'counted');
    const flags = ['--data', damaged, '--out', run];
    expect((await selfsup(['train', 'simdino', ...flags, ...TINY, '--steps', '12'])).code).toBe(0);
    expect((await selfsup(['train', 'simdino', ...flags, '--resume', '--steps', '24'])).code).toBe(0);
    const lines = (await readFile(join(run, 'bad-files.jsonl'), 'utf8')).trim().split('\n');
    expect(lines).toHaveLength(1);
  });
});

it('settings that no step can be made of are refused before anything is written', async () => {
  const never = join(folder, 'never');
  await mkdir(never);
  for (const setting of [
    'head.layers=0',
    'optimizer.beta1=1',
    'length.steps=2.5',
    'loss.codingRateEps=-1',
    'backbone.channels=1',
  ]) {
    const { code } = await selfsup(['train', 'simdino', '--data', data, ...TINY, '--set', setting, '--out', never]);
    expect(code).toBe(2);
    expect(await readdir(never)).toEqual([]);
  }
});

it('a checkpoint that is not there is a mistake of the command: exit 2', async () => {
  const missing = await selfsup(['eval', 'knn', '--checkpoint', join(folder, 'nope'), '--data', data, '--json']);
  expect(missing.code).toBe(2);
  expect(lastJson(missing)).toMatchObject({ error: { code: 'CHECKPOINT_MISSING' } });
});
