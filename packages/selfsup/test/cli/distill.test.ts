import { cp, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { lastJson, losses, makePictures, selfsup, start, temporary, TINY, untilCheckpoint } from './support.js';

/** A student of a few weights, of another width than the teacher. */
const STUDENT = [
  ...['--preset', 'cifar-tiny', '--batch-size', '8', '--set', 'length.warmupSteps=2', '--set', 'log.everySteps=1'],
  ...['--set', 'backbone.width=16', '--set', 'backbone.depth=1'],
];

let folder: string;
let data: string;
let teacher: string;

beforeAll(async () => {
  folder = await temporary();
  data = await makePictures(join(folder, 'pictures'), 30);
  teacher = join(folder, 'teacher');
  const made = await selfsup(['train', 'simdino', '--data', data, ...TINY, '--steps', '4', '--out', teacher]);
  expect(made.code).toBe(0);
});

const distill = (...args: string[]): string[] => ['train', 'distill', '--data', data, ...STUDENT, ...args];

describe('train distill', () => {
  it('teaches a smaller student, which eval and further distillation then take', async () => {
    const out = join(folder, 'student');
    const run = await selfsup(distill('--teacher', teacher, '--steps', '12', '--out', out, '--json'));
    expect(run.stderr).not.toMatch(/\n\s+at /);
    expect(run.code).toBe(0);
    expect(lastJson(run)).toMatchObject({ recipe: 'distill', steps: 12, out });
    const lossOf = await losses(out);
    expect(lossOf[12]).toBeLessThan(lossOf[1]);
    const config = JSON.parse(await readFile(join(out, 'config.json'), 'utf8')) as {
      teacher: { path: string; sha256: string };
    };
    expect(config.teacher.path).toContain(join('teacher', 'checkpoints', 'step-4'));
    expect(config.teacher.sha256).toMatch(/^[0-9a-f]{64}$/);

    const knn = await selfsup(['eval', 'knn', '--checkpoint', out, '--data', data, '--k', '5', '--json']);
    expect(lastJson(knn)).toMatchObject({ setting: { from: 'student', step: 12 } });
    const next = await selfsup(
      distill('--teacher', out, '--init', out, '--steps', '2', '--out', join(folder, 'next'), '--json'),
    );
    expect(next.code).toBe(0);
    // It starts from its teacher's weights, so there is nothing left to learn.
    expect(lastJson(next)['loss']).toBeLessThan(1e-3);
  });

  it('accumulated, a step gives the losses of the whole batch', async () => {
    const outs = [];
    for (const parts of ['1', '4']) {
      const out = join(folder, `parts-${parts}`);
      const run = await selfsup(
        distill('--teacher', teacher, '--steps', '5', '--accumulate', parts, '--out', out, '--probe-every', '0'),
      );
      expect(run.code).toBe(0);
      outs.push(await losses(out));
    }
    for (const [step, loss] of Object.entries(outs[0]))
      expect(Math.abs(outs[1][Number(step)] - loss)).toBeLessThan(2e-4);
  });

  it('killed and resumed, it ends at the same losses; the teacher may move but not change', async () => {
    const moving = join(folder, 'moving');
    await cp(teacher, moving, { recursive: true });
    const [straight, killed] = [join(folder, 'straight'), join(folder, 'killed')];
    const args = distill('--teacher', moving, '--steps', '40', '--set', 'log.checkpointEverySteps=5');
    expect((await selfsup([...args, '--out', straight])).code).toBe(0);
    const { child, done } = start([...args, '--out', killed]);
    await untilCheckpoint(killed, 10);
    child.kill('SIGKILL');
    await done;
    const resume = ['train', 'distill', '--data', data, '--resume', '--out', killed];

    await rename(moving, join(folder, 'moved'));
    const lost = await selfsup([...resume, '--json']);
    expect(lost.code).toBe(2);
    expect(lastJson(lost)).toMatchObject({ error: { code: 'BAD_OPTION' } });
    expect(lost.stderr).toMatch(/--teacher PATH/);
    const other = await selfsup([...resume, '--teacher', straight, '--json']);
    expect(other.code).toBe(2);
    expect(lastJson(other)).toMatchObject({ error: { code: 'CHECKPOINT_MISMATCH' } });
    expect((await selfsup([...resume, '--teacher', join(folder, 'moved')])).code).toBe(0);
    expect(await losses(killed)).toEqual(await losses(straight));
  });

  it.each([
    ['no teacher', () => distill(), /--teacher PATH/],
    ['a teacher that is not there', () => distill('--teacher', '/no/such/run'), /\/no\/such\/run/],
    [
      'a teacher of other patches',
      () => distill('--teacher', teacher, '--set', 'backbone.patchSize=4'),
      /patches of 4 pixels/,
    ],
    [
      'a teacher of other channels',
      () => distill('--teacher', teacher, '--set', 'backbone.channels=1'),
      /with 1 channels/,
    ],
    [
      'a teacher for another recipe',
      () => ['train', 'dino', '--data', data, '--teacher', teacher],
      /distill alone.*--init/,
    ],
    ['no weight', () => distill('--teacher', teacher, '--set', 'loss={"clsWeight":0,"patchWeight":0}'), /clsWeight/],
    ['a run that is not there', () => distill('--resume'), /never, which does not exist/],
  ])('%s: exit 2, one line with the fix', async (_, args, message) => {
    const { code, stderr } = await selfsup([...args(), '--out', join(folder, 'never'), '--json']);
    expect(code).toBe(2);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/Fix: /);
  });

  it('says when the student is the larger one', async () => {
    const run = await selfsup(
      distill('--teacher', teacher, '--set', 'backbone.width=64', '--steps', '1', '--out', join(folder, 'larger')),
    );
    expect(run.code).toBe(0);
    expect(run.stderr).toMatch(/more parameters/);
  });
});
