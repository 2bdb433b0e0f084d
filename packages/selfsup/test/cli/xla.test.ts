import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cpuPlugin } from '../../../engine-xla/test/plugin.js';
import { inProcess, jsonOf, type Ended } from './in-process.js';
import { losses, makePictures, temporary, TINY } from './support.js';

const plugin = cpuPlugin();

describe('--engine xla', () => {
  let folder: string;
  let data: string;
  const cacheBefore = process.env['SELFSUP_CACHE'];
  beforeAll(async () => {
    folder = await temporary();
    data = await makePictures(join(folder, 'pictures'), 20);
    process.env['SELFSUP_CACHE'] = join(folder, 'cache');
  });
  afterAll(() => {
    if (cacheBefore === undefined) delete process.env['SELFSUP_CACHE'];
    else process.env['SELFSUP_CACHE'] = cacheBefore;
  });

  const train = (out: string, ...flags: string[]): Promise<Ended> => {
    const run = [
      'train',
      'simdino',
      '--data',
      data,
      ...TINY,
      '--steps',
      '4',
      '--workers',
      '0',
      '--probe-every',
      '0',
      '--json',
    ];
    return inProcess([...run, '--out', join(folder, out), ...flags]);
  };

  it.skipIf(plugin === undefined)('trains as onnxruntime does, on one device and on two', async () => {
    expect(await train('onnxruntime', '--engine', 'onnxruntime')).toMatchObject({ code: 0 });
    const expected = await losses(join(folder, 'onnxruntime'));
    const one = await train('one', '--plugin', plugin as string);
    expect(one.code).toBe(0);
    expect(jsonOf(one)).toMatchObject({ steps: 4, loss: expect.any(Number) });
    const two = await train(
      'two',
      '--engine',
      'xla',
      '--plugin',
      plugin as string,
      '--devices',
      '2',
      '--shard',
      'state',
    );
    expect(two.code).toBe(0);
    for (const run of ['one', 'two']) {
      const found = await losses(join(folder, run));
      expect(Object.keys(found)).toEqual(Object.keys(expected));
      expect(Object.values(found)).toBeAllclose(Object.values(expected), { maxRel: 1e-4 });
    }
    // A program for each number of devices, for the next start.
    expect(await readdir(join(folder, 'cache', 'programs'))).toHaveLength(2);
  });

  const expectLine = ({ code, stderr, stdout }: Ended, exit: number, says: RegExp): void => {
    expect(code).toBe(exit);
    const error = stderr.trim().split('\n').at(-1);
    expect(error).toMatch(says);
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(JSON.parse(stdout)).toMatchObject({ error: { message: expect.stringMatching(says) } });
  };

  it('fails with one line for what is no plugin, and trains on nothing else', async () => {
    expectLine(await train('none', '--engine', 'xla', '--plugin', join(folder, 'none.so')), 1, /no such file/);
    expectLine(await train('none', '--engine', 'xla', '--plugin', process.execPath), 1, /plugin/);
    expect(existsSync(join(folder, 'none'))).toBe(false);
  });

  it('says how to get a plugin where there is none', async () => {
    expectLine(await train('none', '--engine', 'xla'), 2, /selfsup engine add cpu/);
    expectLine(await train('none', '--devices', '2'), 2, /selfsup engine add cpu/);
  });

  it('is not needed where a plugin for GPUs finds none: the processor trains, and a line says so', async () => {
    // What "selfsup engine add cuda12 --no-runtime" leaves, as far as it is looked at.
    const installed = join(folder, 'cache/plugins/cuda12');
    await mkdir(installed, { recursive: true });
    const record = { name: 'cuda12', version: '1', library: 'x/y.so', runtime: 'none', bytes: 1, wheels: [] };
    await writeFile(join(installed, 'plugin.json'), JSON.stringify(record));
    // Hides the GPUs of a machine that has some.
    process.env['CUDA_VISIBLE_DEVICES'] = '';
    try {
      const ended = await train('processor');
      expect(ended.stderr).toMatch(/the plugin cuda12 cannot be used, going on with onnxruntime on the processor: /);
      expect(jsonOf(ended)['steps']).toBe(4);
    } finally {
      delete process.env['CUDA_VISIBLE_DEVICES'];
      await rm(installed, { recursive: true });
    }
  });

  it.each([
    [['--engine', 'onnxruntime', '--devices', '2'], /--devices together with --engine xla/],
    [['--engine', 'tfjs', '--shard', 'state'], /--shard together with --engine xla/],
    [['--engine', 'onnxruntime', '--precision', 'bf16'], /--precision together with --engine xla/],
    [['--engine', 'tfjs', '--precision', 'bf16'], /--precision together with --engine xla/],
    [['--precision', 'fp8'], /expected --precision f32 or bf16, got "fp8"/],
    [['--engine', 'xla', '--plugin', 'cpuu'], /did you mean "cpu"/],
    [['--engine', 'xla', '--backend', 'cpu'], /--backend together with --engine tfjs/],
    [['--devices', '0'], /whole number of at least 1/],
    [['--devices', '3'], /a batch that 3 devices divide, got 8 images\. Fix: use --batch-size 9, or fewer --devices/],
    [['--devices', '4', '--accumulate', '4'], /got 2 images in each of 4 parts\. Fix: use --batch-size 16/],
    [['--engine', 'xlaa'], /did you mean "xla"/],
  ])('refuses %j', async (flags, says) => {
    expectLine(await train('none', ...flags), 2, says);
  });
});
