import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  appendResult,
  interleave,
  peakMemoryBytes,
  runCommand,
  spreadOf,
  startWorker,
  timed,
} from '../../src/index.js';

const node = (code: string): { program: string; args: string[] } => ({
  program: process.execPath,
  args: ['--input-type=module', '--eval', code],
});

describe('rounds', () => {
  it('summarises an odd and an even number of rounds', () => {
    expect(spreadOf([3, 1, 2])).toEqual({ min: 1, median: 2, max: 3, rounds: 3 });
    expect(spreadOf([4, 1, 2, 3])).toEqual({ min: 1, median: 2.5, max: 4, rounds: 4 });
    expect(() => spreadOf([])).toThrow(RangeError);
  });

  it('are run in turn, the order reversed every other time, warm-up thrown away', async () => {
    const order: string[] = [];
    const round = (name: string) => (): number => {
      order.push(name);
      return order.length;
    };
    const { a, b } = await interleave({ a: round('a'), b: round('b') }, 3);
    expect(order.join('')).toBe('baabbaab');
    expect(a).toEqual({ min: 3, median: 6, max: 7, rounds: 3 });
    expect(b).toEqual({ min: 4, median: 5, max: 8, rounds: 3 });
  });

  it('can be timed from outside', async () => {
    const seconds = await timed(() => new Promise((resolve) => setTimeout(resolve, 30)))();
    expect(seconds).toBeGreaterThan(0.025);
    expect(seconds).toBeLessThan(5);
  });
});

describe.runIf(process.platform === 'linux')('memory', () => {
  it('of this process is known, of a missing one not', () => {
    expect(peakMemoryBytes()).toBeGreaterThan(2 ** 24);
    expect(peakMemoryBytes(2 ** 30)).toBeUndefined();
  });

  it('of a command is its peak, not what it ends with', async () => {
    const wait = 'await new Promise((r) => setTimeout(r, 60));';
    const small = await runCommand(node(wait));
    const large = await runCommand(node(`let x = Buffer.alloc(2 ** 28, 1); ${wait} x = undefined; ${wait}`));
    expect((large.peakMemoryBytes ?? 0) - (small.peakMemoryBytes ?? 0)).toBeGreaterThan(0.9 * 2 ** 28);
  });
});

describe('runCommand', () => {
  it('gives output, code and time', async () => {
    const run = await runCommand(node('console.log(1); console.error(2); process.exit(3)'));
    expect(run).toMatchObject({ code: 3, stdout: '1\n', stderr: '2\n' });
    expect(run.seconds).toBeGreaterThan(0);
  });

  it('says when the program is not there', async () => {
    await expect(runCommand({ program: 'no-such-program' })).rejects.toThrow(/no-such-program/);
  });
});

describe('startWorker', () => {
  const echo = `import { createInterface } from 'node:readline';
    console.log('loading');
    for await (const line of createInterface({ input: process.stdin })) {
      if (line === 'die') throw new Error('as asked');
      console.log(JSON.stringify({ line }));
    }`;

  it('answers line by line and stops', async () => {
    const worker = startWorker(node(echo));
    expect(await worker.ask('one')).toEqual({ line: 'one' });
    expect(await Promise.all([worker.ask('two'), worker.ask('three')])).toEqual([{ line: 'two' }, { line: 'three' }]);
    if (process.platform === 'linux') expect(worker.peakMemoryBytes()).toBeGreaterThan(2 ** 24);
    await worker.stop();
    await worker.stop();
    await expect(worker.ask('four')).rejects.toThrow(/code 0/);
  });

  it('passes on why a process died', async () => {
    const worker = startWorker(node(echo));
    await expect(worker.ask('die')).rejects.toThrow(/as asked/);
    await expect(startWorker({ program: 'no-such-program' }).ask('x')).rejects.toThrow(/no-such-program/);
  });
});

describe('appendResult', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'bench-kit-'))));
  afterEach(() => rmSync(folder, { recursive: true }));

  it('writes a header once and a row each time', () => {
    const path = join(folder, 'results/step.csv');
    appendResult(path, { what: 'ViT-Ti, "tiny"', seconds: 1.25 });
    appendResult(path, { what: 'ViT-S', seconds: undefined });
    const [header, first, second, end] = readFileSync(path, 'utf8').split('\n');
    expect(header).toBe('date,commit,cpu,cores,memoryGiB,node,what,seconds');
    expect(first).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d,.*,"ViT-Ti, ""tiny""",1.25$/);
    expect(second).toMatch(/,ViT-S,$/);
    expect(end).toBe('');
  });

  it('does not mix tables', () => {
    const path = join(folder, 'step.csv');
    appendResult(path, { seconds: 1 });
    expect(() => appendResult(path, { minutes: 1 })).toThrow(/Fix: use a new file/);
  });
});
