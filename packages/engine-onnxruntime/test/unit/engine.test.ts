import { readFileSync, readdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GraphBuilder, type Graph } from '@selfsup/compile';
import type { HostArrays } from '@selfsup/core';
import { engineContract } from '@selfsup/test-kit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { onnxruntimeEngine, type OnnxruntimeEngine } from '../../src/index.js';
import { interpret } from '../../../compile/src/interpret/interpret.js';
import { adamArrays, adamStep } from '../support/steps.js';

engineContract({ name: 'onnxruntime, C API', create: () => onnxruntimeEngine({ api: 'c', threads: 2 }), examples: [] });
engineContract({
  name: 'onnxruntime, JavaScript API',
  create: () => onnxruntimeEngine({ api: 'js', threads: 2 }),
  examples: [],
});

/** y = x + 1, with an error inside onnxruntime for indices out of range. */
function gathering(): Graph {
  const b = new GraphBuilder();
  const x = b.input('batch', 'x', { shape: [4], dtype: 'f32' });
  const at = b.input('batch', 'at', { shape: [2], dtype: 'i32' });
  const [y] = b.node('gather', [x, at], { dimension: 0 }, [{ shape: [2], dtype: 'f32' }]);
  b.result('metric', 'y', y);
  return b.build('gathering');
}

describe('engine', () => {
  let engine: OnnxruntimeEngine;
  beforeAll(async () => {
    engine = await onnxruntimeEngine({ threads: 2 });
  });
  afterAll(() => engine.dispose());

  it('uses the C API where it works, and says so', () => {
    expect(engine.api).toBe('c');
    expect(engine.fallbackReason).toBeUndefined();
    expect(engine.devices()[0]).toMatchObject({
      kind: 'cpu',
      name: expect.stringMatching(/onnxruntime 1\.\d+.*C API, 2 threads/),
    });
  });

  it.each([0, 1.5, NaN])('refuses %s threads', async (threads) => {
    await expect(onnxruntimeEngine({ threads })).rejects.toMatchObject({ code: 'BAD_OPTION' });
  });

  // Sizes below, at and above what is updated in one piece, and one that does not divide evenly.
  const sizes = [1, 7, 70_001, 1 << 17];

  it('updates large and small parameters alike, in place, as the interpreter does', async () => {
    const graph = adamStep(sizes);
    const { state, batch } = adamArrays(sizes);
    const executable = await engine.compile(graph, { commitIf: 'ok' });
    await executable.store.load(state);
    let expected = { state: state as HostArrays, metrics: {} as HostArrays };
    for (let i = 0; i < 3; i++) {
      const metrics = await executable.run(batch);
      expected = interpret(graph, expected.state, batch);
      expect(metrics['norm']).toBeAllclose(expected.metrics['norm'], { maxRel: 1e-5 });
    }
    const got = await executable.store.read(['']);
    for (const name of Object.keys(state)) expect(got[name]).toBeAllclose(expected.state[name], { maxRel: 1e-5 });
    await executable.dispose();
  });

  it('keeps the whole state when one gradient is not finite', async () => {
    const executable = await engine.compile(adamStep(sizes), { commitIf: 'ok' });
    const { state, batch } = adamArrays(sizes);
    await executable.store.load(state);
    batch['x2'][5] = NaN;
    expect((await executable.run(batch))['ok'][0]).toBe(0);
    expect(await executable.store.read([''])).toEqual(state);
    await executable.dispose();
  });

  it('refuses a commitIf that is no metric, or not one element', async () => {
    await expect(engine.compile(adamStep([4]), { commitIf: 'okk' })).rejects.toMatchObject({
      code: 'UNKNOWN_NAME',
      message: expect.stringContaining('did you mean "ok"'),
    });
    await expect(engine.compile(gathering(), { commitIf: 'y' })).rejects.toMatchObject({ code: 'SHAPE_MISMATCH' });
  });

  it('turns an error of onnxruntime into one line', async () => {
    const executable = await engine.compile(gathering());
    const run = executable.run({ x: Float32Array.of(1, 2, 3, 4), at: Int32Array.of(1, 9) });
    await expect(run).rejects.toMatchObject({ code: 'ENGINE_FAILED', message: expect.not.stringContaining('\n') });
    const { y } = await executable.run({ x: Float32Array.of(1, 2, 3, 4), at: Int32Array.of(1, 3) });
    expect(y).toEqual(Float32Array.of(2, 4));
    await executable.dispose();
  });

  it('refuses to run what is disposed', async () => {
    const executable = await engine.compile(gathering());
    await executable.dispose();
    await executable.dispose();
    const run = executable.run({ x: new Float32Array(4), at: new Int32Array(2) });
    await expect(run).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
  });

  it('leaves the event loop free while it runs', async () => {
    const b = new GraphBuilder();
    const x = b.input('batch', 'x', { shape: [1200, 1200], dtype: 'f32' });
    let y = x;
    for (let i = 0; i < 20; i++) {
      [y] = b.node('dot_general', [y, x], { transposeA: false, transposeB: false }, [
        { shape: [1200, 1200], dtype: 'f32' },
      ]);
    }
    const [sum] = b.node('reduce', [y], { kind: 'sum', dimensions: [0, 1], keepDims: false }, [
      { shape: [], dtype: 'f32' },
    ]);
    b.result('metric', 'sum', sum);
    const executable = await engine.compile(b.build('busy'));
    let ticks = 0;
    const timer = setInterval(() => ticks++, 2);
    await executable.run({ x: new Float32Array(1200 * 1200).fill(1e-3) });
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(5);
    await executable.dispose();
  });

  it('holds its memory over a thousand runs', async () => {
    const executable = await engine.compile(adamStep([1000, 40_000]), { commitIf: 'ok' });
    const { state, batch } = adamArrays([1000, 40_000]);
    await executable.store.load(state);
    const after = async (runs: number): Promise<number> => {
      for (let i = 0; i < runs; i++) await executable.run(batch);
      return process.memoryUsage().rss;
    };
    const start = await after(200);
    const end = await after(1000);
    expect(end / start).toBeLessThan(1.05);
    await executable.dispose();
  });

  it('writes a profile on request', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'selfsup-profile-'));
    const profiled = await onnxruntimeEngine({ threads: 1, profile: join(folder, 'p') });
    const executable = await profiled.compile(gathering());
    await executable.run({ x: new Float32Array(4), at: new Int32Array(2) });
    await executable.dispose();
    await profiled.dispose();
    const [file] = readdirSync(folder);
    expect(readFileSync(join(folder, file), 'utf8')).toContain('Gather');
    rmSync(folder, { recursive: true });
  });
});
