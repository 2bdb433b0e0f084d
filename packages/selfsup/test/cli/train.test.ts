import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describeWithData } from '@selfsup/test-kit';
import { beforeAll, describe, expect, it } from 'vitest';
import { lastJson, losses, makePictures, selfsup, start, temporary, TINY, untilCheckpoint } from './support.js';

let folder: string;
let data: string;

beforeAll(async () => {
  folder = await temporary();
  data = await makePictures(join(folder, 'pictures'), 30);
});

const RECIPES = ['simdino', 'dino'];
const HEAD = { simdino: [], dino: ['--set', 'head.prototypes=24'] } as Record<string, string[]>;

describe.each(RECIPES)('train %s', (recipe) => {
  const tiny = [...TINY, ...HEAD[recipe]];

  it('gives the same losses twice, prints one JSON object, and a checkpoint that k-NN reads', async () => {
    const out = join(folder, `${recipe}-a`);
    const first = await selfsup(['train', recipe, '--data', data, ...tiny, '--steps', '8', '--out', out, '--json']);
    expect(first.stderr).not.toMatch(/\n\s+at /);
    expect(first.code).toBe(0);
    expect(first.stdout.trim().split('\n')).toHaveLength(1);
    const result = lastJson(first);
    expect(result).toMatchObject({ recipe, arch: 'vit_tiny', steps: 8, out });
    for (const key of ['loss', 'secondsPerStep', 'imagesPerSecond', 'peakMemoryBytes'])
      expect(result[key]).toBeTypeOf('number');
    expect(Object.keys(result['parts']).length).toBeGreaterThan(0);

    const again = join(folder, `${recipe}-b`);
    await selfsup(['train', recipe, '--data', data, ...tiny, '--steps', '8', '--out', again, '--workers', '0']);
    expect(await losses(again)).toEqual(await losses(out));

    const knn = await selfsup(['eval', 'knn', '--checkpoint', out, '--data', data, '--k', '5,20', '--json']);
    expect(knn.code).toBe(0);
    const { k, top1, byK } = lastJson(knn);
    expect(k).toBe(20);
    expect(top1).toBeGreaterThanOrEqual(0);
    expect(Object.keys(byK)).toEqual(['5', '20']);
  });

  it('killed at any moment and resumed, it ends at the same losses', async () => {
    const straight = join(folder, `${recipe}-straight`);
    const killed = join(folder, `${recipe}-killed`);
    const args = ['train', recipe, '--data', data, ...tiny, '--steps', '40', '--set', 'log.checkpointEverySteps=5'];
    const whole = await selfsup([...args, '--out', straight]);
    expect(whole.code).toBe(0);
    const { child, done } = start([...args, '--out', killed]);
    await untilCheckpoint(killed, 10);
    child.kill('SIGKILL');
    expect((await done).signal).toBe('SIGKILL');
    const resumed = await selfsup(['train', recipe, '--resume', '--out', killed]);
    expect(resumed.stderr).not.toMatch(/\n\s+at /);
    expect(resumed.code).toBe(0);
    expect(await losses(killed)).toEqual(await losses(straight));
  });
});

describe('train', () => {
  it('saves and leaves at Ctrl-C, and goes on from there', async () => {
    const out = join(folder, 'interrupted');
    const { child, done } = start([
      'train',
      'simdino',
      '--data',
      data,
      ...TINY,
      '--steps',
      '5000',
      '--out',
      out,
      '--json',
      '--set',
      'log.checkpointEverySteps=5',
    ]);
    await untilCheckpoint(out, 5);
    child.kill('SIGINT');
    const stopped = await done;
    expect(stopped.code).toBe(130);
    expect(lastJson(stopped)).toMatchObject({ error: { code: 'INTERRUPTED' } });
    const steps = Object.keys(await losses(out)).length;
    const latest = Number(/\d+/.exec(await readFile(join(out, 'latest'), 'utf8'))?.[0]);
    expect(latest).toBe(steps);
    const resumed = await selfsup([
      'train',
      'simdino',
      '--data',
      data,
      '--resume',
      '--out',
      out,
      '--steps',
      String(steps + 2),
      '--json',
    ]);
    expect(resumed.code).toBe(0);
    expect(lastJson(resumed)).toMatchObject({ steps: steps + 2 });
    const settings = await readFile(join(out, 'config.json'), 'utf8');
    const again = await selfsup([
      'train',
      'simdino',
      '--data',
      data,
      '--resume',
      '--out',
      out,
      '--steps',
      '3',
      '--json',
    ]);
    expect(again.code).toBe(2);
    expect(lastJson(again)).toMatchObject({
      error: { code: 'BAD_OPTION', details: { done: steps + 2, totalSteps: 3 } },
    });
    expect(await readFile(join(out, 'config.json'), 'utf8')).toBe(settings);
  });

  it('accumulated, a step gives the losses of the whole batch', async () => {
    const outs = await Promise.all(
      ['1', '4'].map(async (parts) => {
        const out = join(folder, `parts-${parts}`);
        expect(
          (
            await selfsup([
              'train',
              'simdino',
              '--data',
              data,
              ...TINY,
              '--groups',
              '2',
              '--steps',
              '6',
              '--accumulate',
              parts,
              '--out',
              out,
            ])
          ).code,
        ).toBe(0);
        return losses(out);
      }),
    );
    for (const [step, loss] of Object.entries(outs[0]))
      expect(Math.abs(outs[1][Number(step)] - loss)).toBeLessThan(2e-4);
  });

  it('refuses another architecture and another recipe in a run to resume, and leaves it as it is', async () => {
    const out = join(folder, 'kept');
    await selfsup(['train', 'simdino', '--data', data, ...TINY, '--steps', '2', '--out', out]);
    const before = await readFile(join(out, 'config.json'), 'utf8');
    const wider = await selfsup([
      'train',
      'simdino',
      '--data',
      data,
      '--resume',
      '--out',
      out,
      '--steps',
      '3',
      '--set',
      'backbone.width=64',
      '--json',
    ]);
    expect(wider.code).toBe(2);
    expect(lastJson(wider)).toMatchObject({ error: { code: 'CHECKPOINT_MISMATCH' } });
    const other = await selfsup(['train', 'dino', '--data', data, '--resume', '--out', out, '--json']);
    expect(other.code).toBe(2);
    expect(lastJson(other)).toMatchObject({ error: { code: 'BAD_OPTION' } });
    const again = await selfsup(['train', 'simdino', '--data', data, ...TINY, '--steps', '2', '--out', out]);
    expect(again.code).toBe(2);
    expect(again.stderr).toMatch(/go on with the run \(--resume\)/);
    expect(await readFile(join(out, 'config.json'), 'utf8')).toBe(before);
  });

  it('stops with one line when too many files are bad, and goes on past a few', async () => {
    const few = join(folder, 'few-bad');
    await cp(data, few, { recursive: true });
    await writeFile(join(few, 'discs', 'broken.png'), 'no picture');
    const out = join(folder, 'few-out');
    const fine = await selfsup(['train', 'simdino', '--data', few, ...TINY, '--steps', '12', '--out', out]);
    expect(fine.code).toBe(0);
    const reported = (await readFile(join(out, 'bad-files.jsonl'), 'utf8')).trim().split('\n').filter(Boolean);
    expect(reported).toHaveLength(1);
    expect(reported[0]).toContain('broken.png');
    expect(fine.stderr).toContain('skipped discs/broken.png: none of these formats\n');

    const many = join(folder, 'many-bad');
    await mkdir(many, { recursive: true });
    for (let i = 0; i < 20; i++) await writeFile(join(many, `${i}.png`), 'no picture');
    const bad = await selfsup([
      'train',
      'simdino',
      '--data',
      many,
      ...TINY,
      '--steps',
      '4',
      '--out',
      join(folder, 'many-out'),
      '--json',
    ]);
    expect(bad.code).toBe(1);
    expect(lastJson(bad)).toMatchObject({ error: { code: 'TOO_MANY_BAD_FILES' } });
  });

  it.each([
    ['unknown recipe', ['train', 'simdin', '--data', '.'], /did you mean "simdino"/],
    ['unknown preset', ['train', 'simdino', '--data', '.', '--preset', 'cifar-tny'], /did you mean "cifar-tiny"/],
    ['unknown architecture', ['train', 'simdino', '--data', '.', '--arch', 'vit_tny'], /did you mean "vit_tiny"/],
    ['unknown option', ['train', 'simdino', '--data', '.', '--stps', '3'], /did you mean "--steps"/],
    ['unknown command', ['trian'], /did you mean "train"/],
    ['missing folder', ['train', 'simdino', '--data', '/no/such/folder'], /does not exist/],
    [
      'width and heads',
      ['train', 'simdino', '--data', '.', '--preset', 'cifar-tiny', '--set', 'backbone.heads=5'],
      /divisible by heads/,
    ],
    [
      'size and patch',
      ['train', 'simdino', '--data', '.', '--preset', 'cifar-tiny', '--set', 'crops.local.size=20'],
      /divisible by backbone.patchSize/,
    ],
    [
      'batch and groups',
      ['train', 'simdino', '--data', '.', '--preset', 'cifar-tiny', '--batch-size', '10', '--groups', '3'],
      /divisible by groups/,
    ],
    [
      'batch and parts',
      ['train', 'simdino', '--data', '.', '--preset', 'cifar-tiny', '--batch-size', '10', '--accumulate', '3'],
      /divisible by accumulate/,
    ],
    [
      'unknown setting',
      ['train', 'simdino', '--data', '.', '--preset', 'cifar-tiny', '--set', 'loss.codingRatEps=1'],
      /did you mean "loss.codingRateEps"/,
    ],
    ['no number', ['train', 'simdino', '--data', '.', '--steps', 'many'], /whole number/],
  ])('%s: exit 2, one line with the fix', async (_, args, message) => {
    const { code, stderr, stdout } = await selfsup([...args, '--json'], data);
    expect(code).toBe(2);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/Fix: /);
    const { error } = JSON.parse(stdout) as { error: { code: string; message: string } };
    expect(error.code).toMatch(/^[A-Z_]+$/);
    expect(await readdir(data)).toEqual(['discs', 'stripes']);
  });

  it('unknown engine or backend and batch larger than the set: exit 2, nothing written', async () => {
    const out = join(folder, 'never');
    for (const [extra, message] of [
      [['--engine', 'onxruntime'], /did you mean "onnxruntime"/],
      [['--engine', 'tfjs', '--backend', 'wasmm'], /did you mean "wasm"/],
      [['--batch-size', '500'], /at most the \d+ images/],
    ] as const) {
      const { code, stderr } = await selfsup(['train', 'simdino', '--data', data, ...TINY, ...extra, '--out', out]);
      expect(code).toBe(2);
      expect(stderr).toMatch(message);
    }
    await expect(readdir(out)).rejects.toThrow();
  });
});

describeWithData('train on damaged pictures', 'bad-images', (bad) => {
  it('reads the good ones and lists the others', async () => {
    const out = join(folder, 'bad-images');
    const run = await selfsup([
      'train',
      'simdino',
      '--data',
      bad,
      ...TINY,
      '--steps',
      '12',
      '--set',
      'maxBadFraction=0.9',
      '--out',
      out,
      '--json',
    ]);
    expect(run.stderr).not.toMatch(/\n\s+at /);
    expect(run.code).toBe(0);
    const { files } = JSON.parse(await readFile(join(bad, 'manifest.json'), 'utf8')) as {
      files: { file: string; kind: string }[];
    };
    const kinds = new Map(files.map(({ file, kind }) => [file, kind]));
    const reported = (await readFile(join(out, 'bad-files.jsonl'), 'utf8'))
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { name: string }).name);
    expect(reported.length).toBeGreaterThan(0);
    for (const name of reported) expect(kinds.get(name), name).not.toBe('valid');
  });
});
