import { chmodSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Rng } from '@selfsup/core';
import { describe, expect, test } from 'vitest';
import { loadCheckpoint, openRun, readMetrics } from '../../src/index.js';
import { ended, setUpChildren } from '../support/child.js';
import { temporaryFolder } from '../support/folders.js';

const children = setUpChildren();

/** Trains for ever: a line of metrics and a checkpoint per step, every number of which is the step. */
const TRAIN = `
  const directory = process.argv[1];
  const resume = (await import('node:fs')).existsSync(directory + '/config.json');
  const run = await pkg.openRun(directory, { resume, config: {}, keepLast: 2 });
  for (let step = (run.checkpoint?.manifest.step ?? 0) + 1; ; step++) {
    run.logMetrics({ step });
    const state = { w: { shape: [20000], dtype: 'f32', data: new Float32Array(20000).fill(step) } };
    await run.save({ step, seed: 0, state });
    process.stdout.write('saved\\n');
  }`;

describe('killed at any moment', () => {
  test('the last announced checkpoint is there and the run goes on', async () => {
    const directory = join(await temporaryFolder(), 'run');
    const rng = Rng.of(1, 'kill');
    let last = 0;
    let takenOver = 0;
    for (let round = 0; round < 15; round++) {
      const child = children.run(TRAIN, { argument: directory });
      const end = ended(child);
      // Most rounds are killed at some time after their first save, the others while the run is being opened.
      if (round % 4 === 3) await sleep(rng.uniform(60, 400));
      else
        await Promise.race([new Promise((resolve) => child.stdout?.once('data', resolve)), end]).then(() =>
          sleep(rng.uniform(0, 60)),
        );
      child.kill('SIGKILL');
      expect(await end).toMatchObject({ signal: 'SIGKILL', err: '' });

      const loaded = await loadCheckpoint(directory);
      expect(loaded.notes).toEqual([]);
      const step = loaded.manifest?.step ?? 0;
      expect(step).toBeGreaterThanOrEqual(last);
      last = step;
      const { w } = await loaded.read();
      expect(w.data.every((value) => value === step)).toBe(true);
      const metrics = (await readMetrics(directory)).records.map((record) => record['step']);
      expect(metrics.slice(0, step)).toEqual(Array.from({ length: step }, (_, i) => i + 1));
      if (readdirSync(directory).includes('lock')) takenOver++;
    }
    expect(takenOver).toBeGreaterThan(0);
    expect(last).toBeGreaterThan(1);
    const run = await openRun(directory, { resume: true });
    expect(run.checkpoint?.manifest?.step).toBe(last);
    expect(run.notes.join()).toContain('took over the lock');
    await run.close();
    expect(readdirSync(join(directory, 'checkpoints')).every((name) => /^step-\d+$/.test(name))).toBe(true);
  });
});

describe('a disk that is full', () => {
  // A limit on file sizes makes a write fail in the middle, as a full disk does.
  const SAVE_TWICE = `
    const run = await pkg.openRun(process.argv[1], { config: {} });
    const state = (n) => ({ w: { shape: [n], dtype: 'f32', data: new Float32Array(n).fill(1) } });
    await run.save({ step: 1, seed: 0, state: state(100) });
    const error = await run.save({ step: 2, seed: 0, state: state(1e6) }).catch((e) => e);
    process.stdout.write(JSON.stringify({ code: error.code, message: error.message, reason: error.details.reason }));
    await run.close();`;

  test('one clear error, the checkpoint before stays, no rubbish', async () => {
    const directory = join(await temporaryFolder(), 'run');
    const { code, out, err } = await ended(children.run(SAVE_TWICE, { shell: 'ulimit -f 1000;', argument: directory }));
    expect([code, err]).toEqual([0, '']);
    const error = JSON.parse(out) as { code: string; message: string; reason: string };
    expect(error).toMatchObject({ code: 'WRITE_FAILED', reason: 'EFBIG' });
    expect(error.message).toContain('ulimit -f');
    expect(readdirSync(join(directory, 'checkpoints'))).toEqual(['step-1']);
    expect((await loadCheckpoint(directory)).manifest?.step).toBe(1);
  });
});

describe('places that cannot be written', () => {
  const root = process.getuid?.() === 0;

  test('a path below a file', async () => {
    const opened = openRun('/etc/hostname/run', { config: {} });
    await expect(opened).rejects.toMatchObject({ code: 'RUN_DIRECTORY' });
    await expect(opened).rejects.toThrow('a part of the path is a file');
  });

  test('a system folder', async () => {
    if (!existsSync('/proc/self')) return;
    await expect(openRun('/proc/selfsup-run', { config: {} })).rejects.toMatchObject({ code: 'RUN_DIRECTORY' });
  });

  // Nothing is forbidden to root, so as root the program runs as nobody.
  test('a folder without permission', async () => {
    const parent = await temporaryFolder();
    const directory = join(parent, 'locked');
    mkdirSync(directory);
    chmodSync(parent, 0o755);
    chmodSync(directory, 0o555);
    const program = `
      ${root ? 'process.setgid(65534); process.setuid(65534);' : ''}
      const error = await pkg.openRun(process.argv[1] + '/run', { config: {} }).catch((e) => e);
      process.stdout.write(error.code + ' ' + error.message);`;
    const { out, err } = await ended(children.run(program, { argument: directory }));
    expect(err).toBe('');
    expect(out).toMatch(/^RUN_DIRECTORY .*check the permissions/);
    chmodSync(directory, 0o755);
  });
});
