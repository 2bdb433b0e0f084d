import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadCheckpoint, openRun, readBadFiles, readMetrics } from '../../src/index.js';
import { temporaryFolder } from '../support/folders.js';
import { stateOf } from '../support/states.js';

const config = { recipe: 'simdino', batchSize: 4 };

/** A closed run with checkpoints at the given steps and a line of metrics for each step up to the last. */
async function madeRun(steps: readonly number[], keepLast = Infinity): Promise<string> {
  const directory = join(await temporaryFolder(), 'run');
  const run = await openRun(directory, { config, keepLast });
  for (let step = 1; step <= Math.max(0, ...steps); step++) {
    run.logMetrics({ step, loss: 1 / step });
    if (steps.includes(step)) await run.save({ step, seed: 7, state: stateOf(step) });
  }
  await run.close();
  return directory;
}

const folder = (run: string, step: number): string => join(run, 'checkpoints', `step-${step}`);

function damage(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length - 3] ^= 1;
  writeFileSync(path, bytes);
}

async function stepsOfMetrics(directory: string): Promise<unknown[]> {
  return (await readMetrics(directory)).records.map((record) => record['step']);
}

describe('a new run', () => {
  test('writes the documented files', async () => {
    const directory = join(await temporaryFolder(), 'deep', 'run');
    const run = await openRun(directory, { config, versions: { selfsup: '1.2.3' } });
    expect(run).toMatchObject({ directory, config, checkpoint: undefined, notes: [] });
    expect(existsSync(join(directory, 'lock'))).toBe(true);
    run.logMetrics({ step: 1, loss: NaN });
    run.logBadFile({ path: 'a.jpg', reason: 'empty' });
    const saved = await run.save({ step: 1, seed: 5, state: stateOf(1) });
    expect(saved).toMatchObject({ directory: folder(directory, 1), step: 1 });
    await run.close();
    await run.close();
    expect(readdirSync(directory).sort()).toEqual([
      'bad-files.jsonl',
      'checkpoints',
      'config.json',
      'latest',
      'metrics.jsonl',
    ]);
    expect(readdirSync(folder(directory, 1)).sort()).toEqual(['manifest.json', 'state.safetensors']);
    expect(readFileSync(join(directory, 'latest'), 'utf8')).toBe('step-1\n');
    expect(JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8'))).toEqual(config);
    expect((await readMetrics(directory)).records).toEqual([{ step: 1, loss: NaN }]);
    expect((await readBadFiles(directory)).records).toEqual([{ path: 'a.jpg', reason: 'empty' }]);
    expect(() => run.logMetrics({ step: 2 })).toThrow(/an open run/);
  });

  test('the manifest tells everything about the checkpoint', async () => {
    const directory = join(await temporaryFolder(), 'run');
    const run = await openRun(directory, { config, versions: { selfsup: '1.2.3' } });
    await run.save({ step: 3, seed: 5, state: stateOf(3) });
    await run.close();
    const { manifest, specs } = await loadCheckpoint(directory);
    const own = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
    expect(manifest).toMatchObject({
      formatVersion: 1,
      versions: { selfsup: '1.2.3', '@selfsup/checkpoint': own.version },
      config,
      step: 3,
      seed: 5,
    });
    expect(manifest?.tensors).toEqual(specs);
    expect(specs['teacher.backbone.blocks.0.norm1.weight']).toEqual({ shape: [2, 16], dtype: 'f32' });
    expect(manifest?.state.sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  test.each(['a file', 'a folder with something in it', 'a run'])('%s is not written over', async (kind) => {
    const directory = kind === 'a run' ? await madeRun([1]) : join(await temporaryFolder(), 'run');
    if (kind === 'a file') writeFileSync(directory, 'mine');
    if (kind.startsWith('a folder')) {
      mkdirSync(directory);
      writeFileSync(join(directory, 'thesis.txt'), 'mine');
    }
    const opened = openRun(directory, { config });
    await expect(opened).rejects.toMatchObject({ code: 'RUN_DIRECTORY' });
    await expect(opened).rejects.toThrow(
      { 'a file': 'a part of the path is a file', 'a run': 'go on with the run (--resume)' }[kind] ??
        'which holds thesis.txt',
    );
    if (kind === 'a file') expect(readFileSync(directory, 'utf8')).toBe('mine');
    else expect(existsSync(join(directory, 'lock'))).toBe(false);
  });

  test('only the last checkpoints stay', async () => {
    const directory = await madeRun([2, 4, 6, 8], 2);
    expect(readdirSync(join(directory, 'checkpoints')).sort()).toEqual(['step-6', 'step-8']);
    await expect(openRun(directory, { keepLast: 0 })).rejects.toMatchObject({ code: 'BAD_OPTION' });
  });

  test('a step can be saved twice with the same arrays, not with others', async () => {
    const run = await openRun(join(await temporaryFolder(), 'run'), { config });
    const first = await run.save({ step: 1, seed: 0, state: stateOf(1) });
    expect(await run.save({ step: 1, seed: 0, state: stateOf(1) })).toEqual(first);
    await expect(run.save({ step: 1, seed: 0, state: stateOf(2) })).rejects.toThrow(/one with other arrays/);
    expect(readdirSync(join(run.directory, 'checkpoints'))).toEqual(['step-1']);
    await run.close();
  });
});

describe('resuming', () => {
  test('goes on from the last checkpoint, drops the metrics after it and cut lines', async () => {
    const directory = await madeRun([2, 4]);
    appendFileSync(join(directory, 'metrics.jsonl'), '{"step":5,"loss":1}\n{"step":6,"lo');
    appendFileSync(join(directory, 'bad-files.jsonl'), '{"path":"a.jpg"}\n{"path":"b');
    const run = await openRun(directory, { resume: true });
    expect(run.config).toEqual(config);
    expect(run.notes).toEqual([]);
    expect(run.checkpoint?.manifest).toMatchObject({ step: 4, seed: 7 });
    expect(await run.checkpoint?.read()).toEqual(stateOf(4));
    expect(await stepsOfMetrics(directory)).toEqual([1, 2, 3, 4]);
    run.logMetrics({ step: 5, loss: 0 });
    run.logBadFile({ path: 'c.jpg' });
    await run.close();
    expect(await stepsOfMetrics(directory)).toEqual([1, 2, 3, 4, 5]);
    const badFiles = { records: [{ path: 'a.jpg' }, { path: 'c.jpg' }], damagedLines: 0 };
    expect(await readBadFiles(directory)).toEqual(badFiles);
  });

  test('a changed configuration is stored', async () => {
    const directory = await madeRun([1]);
    const changed = { ...config, steps: 100 };
    await (await openRun(directory, { resume: true, config: changed })).close();
    expect(JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8'))).toEqual(changed);
  });

  test('before the first checkpoint it starts at step 0 and says so', async () => {
    const directory = await madeRun([]);
    appendFileSync(join(directory, 'metrics.jsonl'), '{"step":1}\n');
    const run = await openRun(directory, { resume: true });
    expect(run.checkpoint).toBeUndefined();
    expect(run.notes).toEqual(['no checkpoint was saved yet; the run starts at step 0']);
    expect(await stepsOfMetrics(directory)).toEqual([]);
    await run.close();
  });

  test.each(['missing', 'empty'])('a %s folder is no run', async (kind) => {
    const directory = join(await temporaryFolder(), 'run');
    if (kind === 'empty') mkdirSync(directory);
    await expect(openRun(directory, { resume: true })).rejects.toThrow(/start the run without resuming/);
    expect(existsSync(directory)).toBe(kind === 'empty');
  });

  test.each<[string, (run: string) => void, RegExp]>([
    ['a flipped bit', (run) => damage(join(folder(run, 4), 'state.safetensors')), /does not match its SHA-256/],
    ['a missing state', (run) => rmSync(join(folder(run, 4), 'state.safetensors')), /state.safetensors cannot be read/],
    ['a missing manifest', (run) => rmSync(join(folder(run, 4), 'manifest.json')), /no manifest.json/],
    [
      'a cut manifest',
      (run) => writeFileSync(join(folder(run, 4), 'manifest.json'), '{"formatVersion":1,'),
      /cannot be read/,
    ],
    [
      'another manifest',
      (run) => writeFileSync(join(folder(run, 4), 'manifest.json'), '{}'),
      /not one of a checkpoint/,
    ],
    ['a missing folder', (run) => rmSync(folder(run, 4), { recursive: true }), /step-4 is missing/],
  ])('%s: the checkpoint before is used, and said so', async (_, spoil, note) => {
    const directory = await madeRun([2, 4]);
    spoil(directory);
    const loaded = await loadCheckpoint(directory);
    expect(loaded.manifest?.step).toBe(2);
    expect(loaded.notes.join('. ')).toMatch(note);
    expect(loaded.notes.at(-1)).toBe('step-2 is used instead');
    const run = await openRun(directory, { resume: true });
    expect(run.notes).toEqual(loaded.notes);
    expect(await run.checkpoint?.read()).toEqual(stateOf(2));
    expect(await stepsOfMetrics(directory)).toEqual([1, 2]);
    // Steps 3 and 4 are done again.
    await run.save({ step: 4, seed: 7, state: stateOf(4) });
    await run.close();
    expect(await loadCheckpoint(directory)).toMatchObject({ manifest: { step: 4 }, notes: [] });
  });

  test('only damaged checkpoints: an error, nothing is thrown away', async () => {
    const directory = await madeRun([2, 4]);
    for (const step of [2, 4]) damage(join(folder(directory, step), 'state.safetensors'));
    for (const open of [() => openRun(directory, { resume: true }), () => loadCheckpoint(directory)]) {
      await expect(open()).rejects.toMatchObject({ code: 'CHECKPOINT_UNREADABLE' });
    }
    expect(readdirSync(join(directory, 'checkpoints'))).toEqual(['step-2', 'step-4']);
    expect(await stepsOfMetrics(directory)).toHaveLength(4);
    expect(existsSync(join(directory, 'lock'))).toBe(false);
  });

  test('whatever a crash can leave behind is cleared away, latest decides', async () => {
    const directory = await madeRun([2]);
    // Killed while writing a checkpoint; after renaming it but before announcing it; while writing latest and config.
    mkdirSync(join(directory, 'checkpoints', '.step-6.0.tmp'));
    writeFileSync(join(directory, 'checkpoints', '.step-6.0.tmp', 'state.safetensors'), 'half');
    cpSync(folder(directory, 2), folder(directory, 4), { recursive: true });
    writeFileSync(join(directory, '.latest.0.tmp'), 'step-');
    writeFileSync(join(directory, '.config.json.0.tmp'), '{');
    expect((await loadCheckpoint(directory)).manifest?.step).toBe(2);
    const run = await openRun(directory, { resume: true });
    expect(run.notes).toEqual([]);
    expect(run.checkpoint?.manifest?.step).toBe(2);
    await run.close();
    expect(readdirSync(join(directory, 'checkpoints'))).toEqual(['step-2']);
    expect(readdirSync(directory).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  test.each(['', 'st', 'garbage\n'])('a latest of %j: the newest whole checkpoint', async (text) => {
    const directory = await madeRun([2, 4]);
    writeFileSync(join(directory, 'latest'), text);
    expect((await loadCheckpoint(directory)).manifest?.step).toBe(4);
  });

  test('a leftover of a start that never got to its configuration is no obstacle', async () => {
    const directory = join(await temporaryFolder(), 'run');
    mkdirSync(directory);
    writeFileSync(join(directory, '.config.json.0.tmp'), '{');
    await (await openRun(directory, { config })).close();
    expect(readdirSync(directory).sort()).toEqual(['bad-files.jsonl', 'config.json', 'metrics.jsonl']);
  });
});

describe('the lock', () => {
  const owner = { pid: process.pid, host: hostname(), since: '2026-01-01T00:00:00.000Z', id: 'x' };
  const withLock = async (text: string): Promise<string> => {
    const directory = await madeRun([1]);
    writeFileSync(join(directory, 'lock'), text);
    return directory;
  };

  test('a second opening is refused, names the owner, and does not disturb the first', async () => {
    const directory = join(await temporaryFolder(), 'run');
    const run = await openRun(directory, { config });
    for (const resume of [true, false]) {
      await expect(openRun(directory, { resume })).rejects.toMatchObject({ code: 'RUN_DIRECTORY' });
    }
    await expect(openRun(directory, { resume: true })).rejects.toMatchObject({
      details: { pid: process.pid, host: hostname() },
    });
    await run.save({ step: 1, seed: 0, state: stateOf(1) });
    await run.close();
    await (await openRun(directory, { resume: true })).close();
  });

  test('of openings at the same moment one wins', async () => {
    const directory = join(await temporaryFolder(), 'run');
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => openRun(directory, { config })));
    const winners = outcomes.filter((outcome) => outcome.status === 'fulfilled');
    expect(winners).toHaveLength(1);
    await Promise.all(winners.map((winner) => winner.value.close()));
  });

  test.each([
    ['a dead process', JSON.stringify({ ...owner, pid: 2 ** 22 + 1 }), `process ${2 ** 22 + 1}, which is gone`],
    ['an earlier process of the same number', JSON.stringify({ ...owner, processStart: 'boot:1' }), 'which is gone'],
  ])('of %s is taken over with a note', async (_, text, note) => {
    const run = await openRun(await withLock(text), { resume: true });
    expect(run.notes.join()).toContain(note);
    await run.close();
    expect(readdirSync(run.directory)).not.toContain('lock');
  });

  test.each([
    ['another machine', JSON.stringify({ ...owner, host: 'elsewhere' }), 'on elsewhere'],
    ['this very process', JSON.stringify(owner), `process ${process.pid}`],
    ['a process that is just writing it', '', 'another process'],
  ])('of %s is respected; the way out is named', async (_, text, part) => {
    const directory = await withLock(text);
    const opened = openRun(directory, { resume: true });
    await expect(opened).rejects.toThrow(part);
    await expect(opened).rejects.toThrow(`delete ${join(directory, 'lock')}`);
    expect(readFileSync(join(directory, 'lock'), 'utf8')).toBe(text);
  });

  test('closing leaves the lock of another alone', async () => {
    const directory = join(await temporaryFolder(), 'run');
    const run = await openRun(directory, { config });
    const other = JSON.stringify({ ...owner, host: 'elsewhere' });
    writeFileSync(join(directory, 'lock'), other);
    await run.close();
    expect(readFileSync(join(directory, 'lock'), 'utf8')).toBe(other);
  });
});
