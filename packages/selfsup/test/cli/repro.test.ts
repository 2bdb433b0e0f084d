import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Ended, inProcess, jsonOf } from './in-process.js';
import { makePictures, temporary, TINY } from './support.js';

let folder: string;
let data: string;
let out: string;

beforeAll(async () => {
  folder = await temporary();
  data = await makePictures(join(folder, 'pictures'), 20);
  out = join(folder, 'run');
});

/** The flags of a run but its preset, which a reproduction is given with its recipe. */
const SMALL = TINY.slice(2);

const repro = (preset: string, ...flags: string[]): Promise<Ended> =>
  inProcess(['repro', preset, '--data', data, '--engine', 'onnxruntime', '--workers', '0', '--json', ...flags]);

describe('repro', () => {
  it('trains, evaluates and writes a card that names every deviation', async () => {
    const ended = await repro('simdino/cifar-tiny', ...SMALL, '--steps', '3', '--probe-every', '0', '--out', out);
    expect(ended.code).toBe(0);
    const result = jsonOf(ended);
    expect(result).toMatchObject({
      preset: 'simdino/cifar-tiny',
      comparable: false,
      steps: 3,
      knn: { k: 20, top1: expect.any(Number) },
      card: join(out, 'card.md'),
    });
    const card = JSON.parse(await readFile(join(out, 'card.json'), 'utf8')) as {
      deviations: { what: string; preset: string; here: string }[];
      curves: { step: number }[];
      hashes: Record<string, string>;
    };
    expect(card.deviations).toContainEqual({ what: 'length.steps', preset: '2000', here: '3' });
    expect(card.deviations).toContainEqual({ what: 'batchSize', preset: '128', here: '8' });
    expect(card.curves.map(({ step }) => step)).toEqual([1, 2, 3]);
    for (const name of ['settings', 'code', 'data (names and labels)', 'checkpoint'])
      expect(card.hashes[name], name).toMatch(/^[0-9a-f]{64}$/);
    const text = await readFile(join(out, 'card.md'), 'utf8');
    expect(text).toMatch(/^# simdino\/cifar-tiny\n\n\*\*Run with \d+ deviations from the preset; no paper/);
    expect(text).toContain('| length.steps | 2000 | 3 |');
    expect(await readFile(join(out, 'curves.svg'), 'utf8')).toContain('<svg');
  });

  it('evaluates a trained run again with --resume, with the same result', async () => {
    const before = JSON.parse(await readFile(join(out, 'card.json'), 'utf8')) as object;
    const again = await repro('simdino/cifar-tiny', '--resume', '--out', out);
    expect(again.code).toBe(0);
    const after = JSON.parse(await readFile(join(out, 'card.json'), 'utf8')) as object;
    expect({ ...after, written: '' }).toEqual({ ...before, written: '' });
  });

  it.each([
    ['simdino', /RECIPE\/PRESET.*simdino\/imagenet-vitb16/],
    ['simdino/nothing', /a preset of simdino/],
    ['distill/cifar-tiny', /selfsup train distill/],
  ])('refuses %s before any work', async (preset, says) => {
    const ended = await repro(preset, '--out', join(folder, 'none'));
    expect(ended.code).toBe(2);
    expect(ended.stderr).toMatch(says);
    expect(existsSync(join(folder, 'none'))).toBe(false);
  });

  it('refuses pictures without labels, and a folder of another run', async () => {
    const unlabelled = await inProcess(['repro', 'simdino/cifar-tiny', '--data', join(data, 'discs')]);
    expect(unlabelled).toMatchObject({ code: 2, stderr: expect.stringMatching(/no classes/) });
    expect(await repro('simdino/cifar-tiny', ...SMALL, '--out', out)).toMatchObject({ code: 2 });
    for (const other of ['dino/cifar-tiny', 'simdino/demo'])
      expect(await repro(other, '--resume', '--out', out)).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/got one of simdino\/cifar-tiny/),
      });
  });
});
