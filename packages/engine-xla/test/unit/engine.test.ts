import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GraphBuilder, interpret, type Graph } from '@selfsup/compile';
import { hostArray, type HostArrays } from '@selfsup/core';
import { engineContract } from '@selfsup/test-kit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { adamArrays, adamStep } from '../../../engine-onnxruntime/test/support/steps.js';
import { emitStableHlo, xlaEngine, type LiveCounts, type XlaEngine, type XlaOptions } from '../../src/index.js';
import { cpuPlugin } from '../plugin.js';

const path = cpuPlugin();
const start = (options: Partial<XlaOptions> = {}): Promise<XlaEngine> =>
  xlaEngine({ plugin: path as string, ...options });

const NOTHING: LiveCounts = { clients: 0, topologies: 0, buffers: 0, events: 0, executables: 0, errors: 0 };

/** Large enough to be split over devices. */
const COLUMNS = 512;

/** Sums of x w over all rows, and w - 0.1 times the sum of rows of x; shapes divide by 4. */
function rowsStep(rows = 8): Graph {
  const b = new GraphBuilder();
  const x = b.input('batch', 'x', { shape: [rows, 4], dtype: 'f32' });
  const w = b.input('state', 'w', { shape: [4, COLUMNS], dtype: 'f32' });
  const f32 = (...shape: number[]) => [{ shape, dtype: 'f32' as const }];
  const [y] = b.node('dot_general', [x, w], { transposeA: false, transposeB: false }, f32(rows, COLUMNS));
  const [ones] = b.node('broadcast_in_dim', [b.scalar(0.1, 'f32')], {}, f32(rows, COLUMNS));
  const [g] = b.node('dot_general', [x, ones], { transposeA: true, transposeB: false }, f32(4, COLUMNS));
  const [next] = b.node('subtract', [w, g], {}, f32(4, COLUMNS));
  const [sum] = b.node('reduce', [y], { kind: 'sum', dimensions: [0], keepDims: false }, f32(COLUMNS));
  b.result('state', 'w', next);
  b.result('metric', 'sum', sum);
  b.result('metric', 'y', y);
  return b.build('rows');
}

const rowsArrays = (rows = 8): { state: HostArrays; batch: HostArrays } => ({
  state: { w: Float32Array.from({ length: 4 * COLUMNS }, (_, i) => Math.sin(i)) },
  batch: { x: Float32Array.from({ length: 4 * rows }, (_, i) => Math.cos(3 * i)) },
});

/** Moves `total` on and then asks for `bytes` of temporary memory, or of a result. */
function greedyStep(elements: number): Graph {
  const b = new GraphBuilder();
  const total = b.input('state', 'total', { shape: [3], dtype: 'f32' });
  const [next] = b.node('add', [total, b.scalar(1, 'f32')], {}, [{ shape: [3], dtype: 'f32' }]);
  const [one] = b.node('slice', [next], { start: [0], limit: [1], strides: [1] }, [{ shape: [1], dtype: 'f32' }]);
  const [large] = b.node('broadcast_in_dim', [one], {}, [{ shape: [elements], dtype: 'f32' }]);
  b.result('state', 'total', next);
  b.result('metric', 'large', large);
  return b.build('greedy');
}

describe.skipIf(path === undefined)('engine', () => {
  for (const [devices, state] of [
    [1, 'replicated'],
    [2, 'replicated'],
    [2, 'sharded'],
  ] as const) {
    engineContract({
      name: `xla, ${devices} devices, state ${state}`,
      create: () => start({ devices, state }),
      examples: [],
    });
  }

  describe('the flag that decides whether a step counts', () => {
    it('is one value that every update waits for: XLA would compute it anew within each of them', () => {
      const { text } = emitStableHlo(adamStep([10, 20]), { commitIf: 'ok' });
      const [, flag] = /(%\w+):1 = stablehlo.optimization_barrier %\w+ : tensor<i1>/.exec(text) ?? [];
      const flags = Array.from(text.matchAll(/stablehlo\.select (%\w+),/g), ([, name]) => name);
      expect(flags).toHaveLength(8);
      for (const name of flags) expect(text).toContain(`${name} = stablehlo.broadcast_in_dim ${flag}#0,`);
    });
  });

  describe('on one device', () => {
    let engine: XlaEngine;
    beforeAll(async () => {
      engine = await start();
    });
    afterAll(() => engine.dispose());

    it('tells what it runs on', () => {
      expect(engine).toMatchObject({ name: 'xla', platform: 'cpu', apiVersion: { major: 0 } });
      expect(engine.devices()).toEqual([
        { name: expect.stringMatching(/^cpu:0 .*XLA, PJRT 0\.\d+/), kind: 'cpu', memoryBytes: expect.any(Number) },
      ]);
    });

    it('trains as the interpreter does', async () => {
      const sizes = [1, 7, 70_001];
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
      await executable.store.dispose();
    });

    it('loses no NaN in a maximum or minimum', async () => {
      const b = new GraphBuilder();
      const x = b.input('batch', 'x', { shape: [3], dtype: 'f32' });
      for (const op of ['maximum', 'minimum'] as const)
        b.result('metric', op, b.node(op, [x, b.scalar(0, 'f32')], {}, [{ shape: [3], dtype: 'f32' }])[0]);
      for (const kind of ['max', 'min'])
        b.result(
          'metric',
          kind,
          b.node('reduce', [x], { kind, dimensions: [0], keepDims: false }, [{ shape: [], dtype: 'f32' }])[0],
        );
      const executable = await engine.compile(b.build('extremes'));
      const { maximum, minimum, max, min } = await executable.run({ x: Float32Array.of(-1, NaN, 1) });
      expect(maximum).toEqual(Float32Array.of(0, NaN, 1));
      expect(minimum).toEqual(Float32Array.of(-1, NaN, 0));
      expect([max[0], min[0]]).toEqual([NaN, NaN]);
      await executable.dispose();
    });

    it('takes batches that were sent ahead, once', async () => {
      const executable = await engine.compile(rowsStep());
      const { state, batch } = rowsArrays();
      await executable.store.load(state);
      executable.prepare(batch);
      const first = await executable.run(batch);
      const again = await executable.run(batch);
      const one = interpret(rowsStep(), state, batch);
      expect(first['sum']).toBeAllclose(one.metrics['sum'], { maxRel: 1e-5 });
      const two = interpret(rowsStep(), one.state, batch);
      expect(again['sum']).toBeAllclose(two.metrics['sum'], { maxRel: 1e-5 });
      expect(() => executable.prepare({ x: new Float32Array(3) })).toThrow(/mis-shaped/);
      expect(() => executable.prepare({ z: new Float32Array(3) })).toThrow(/unexpected/);
      executable.prepare(batch);
      await executable.dispose();
      await executable.store.dispose();
      expect(engine.live().buffers).toBe(0);
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
      b.result('metric', 'y', y);
      const executable = await engine.compile(b.build('busy'));
      let ticks = 0;
      const timer = setInterval(() => ticks++, 2);
      await executable.run({ x: new Float32Array(1200 * 1200).fill(1e-3) });
      clearInterval(timer);
      expect(ticks).toBeGreaterThan(5);
      await executable.dispose();
    });

    it('refuses to run what is disposed, and stores of others', async () => {
      const executable = await engine.compile(rowsStep());
      await executable.dispose();
      await executable.dispose();
      await expect(executable.run(rowsArrays().batch)).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
      expect(() => executable.prepare(rowsArrays().batch)).toThrow(/disposed/);
      const other = await start();
      await expect(engine.compile(rowsStep(), { store: other.createStore() })).rejects.toMatchObject({
        code: 'BAD_OPTION',
      });
      await other.dispose();
      await expect(other.compile(rowsStep())).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
    });

    it('says what memory was needed, and that the state is lost until it is loaded again', async () => {
      // 1 TB: more than there is.
      const executable = await engine.compile(greedyStep(2 ** 38));
      await executable.store.load({ total: Float32Array.of(1, 2, 3) });
      await expect(executable.run({})).rejects.toMatchObject({
        code: 'OUT_OF_MEMORY',
        message: expect.stringMatching(
          /^engine-xla\.run: expected 1024\.00 GB .*got [\d.]+ GB .*Fix: .*--batch-size.*--accumulate.*--devices/,
        ),
        details: { needBytes: expect.any(Number), capacityBytes: expect.any(Number) },
      });
      const { store } = executable;
      await expect(store.read(['total'])).rejects.toMatchObject({
        code: 'ENGINE_FAILED',
        message: expect.stringMatching(/state that was lost.*Fix: load the state again/),
      });
      await expect(executable.run({})).rejects.toMatchObject({ message: expect.stringContaining('lost') });
      await store.load({ total: Float32Array.of(4, 5, 6) });
      expect(await store.read(['total'])).toEqual({ total: Float32Array.of(4, 5, 6) });
      await executable.dispose();
      await store.dispose();
      expect(engine.live()).toEqual({ ...NOTHING, clients: 1 });
    });
  });

  it('leaves the environment as it was when several start at once', async () => {
    // The first needs one start, the second two.
    const quick = { threads: 1, pluginOptions: { cpu_device_count: 1 } };
    const engines = await Promise.all([quick, { threads: 2 }].map((options) => start(options)));
    expect(process.env['NPROC']).toBeUndefined();
    await Promise.all(engines.map((engine) => engine.dispose()));
  });

  describe('on several devices', () => {
    it.each([
      [1, 'replicated'],
      [2, 'replicated'],
      [4, 'replicated'],
      [2, 'sharded'],
      [4, 'sharded'],
    ] as const)('gives the same numbers on %i, state %s', async (devices, state) => {
      const engine = await start({ devices, state });
      expect(engine.devices()).toHaveLength(devices);
      const graph = rowsStep();
      const { state: before, batch } = rowsArrays();
      const executable = await engine.compile(graph);
      await executable.store.load(before);
      let expected = { state: before, metrics: {} as HostArrays };
      for (let i = 0; i < 3; i++) {
        const metrics = await executable.run(batch);
        expected = interpret(graph, expected.state, batch);
        for (const name of ['sum', 'y']) expect(metrics[name]).toBeAllclose(expected.metrics[name], { maxRel: 1e-5 });
      }
      expect((await executable.store.read(['w']))['w']).toBeAllclose(expected.state['w'], { maxRel: 1e-5 });
      await engine.dispose();
    });

    it.each([2, 4])('splits state along the first dimension that %i divides', async (devices) => {
      const shapes = { rows: [1024], columns: [3, 512], depth: [5, 7, 64], whole: [33, 33] };
      const b = new GraphBuilder();
      for (const [name, shape] of Object.entries(shapes)) {
        for (const dtype of ['f32', 'i32'] as const) {
          const value = b.input('state', `${name}.${dtype}`, { shape, dtype });
          b.result('state', `${name}.${dtype}`, b.node('add', [value, value], {}, [{ shape, dtype }])[0]);
        }
      }
      const graph = b.build('doubles');
      const axes = emitStableHlo(graph, { devices, state: 'sharded' }).outputs.map(({ splitAxis }) => splitAxis);
      expect(axes).toEqual([0, 0, 1, 1, 2, 2, undefined, undefined]);
      const engine = await start({ devices, state: 'sharded' });
      const executable = await engine.compile(graph);
      const specs = Object.entries(executable.store.specs());
      const state = Object.fromEntries(
        specs.map(([name, spec]) => [name, hostArray(spec).map((_: number, i: number) => (i % 251) - 90)]),
      );
      await executable.store.load(state);
      expect(await executable.store.read([''])).toEqual(state);
      await executable.run({});
      expect(await executable.store.read([''])).toEqual(interpret(graph, state, {}).state);
      await engine.dispose();
    });

    it('refuses more devices than there are, and no devices', async () => {
      await expect(start({ devices: 3, pluginOptions: { cpu_device_count: 2 } })).rejects.toMatchObject({
        code: 'BAD_OPTION',
        message: expect.stringMatching(/at most 2 devices.*got 3/),
      });
      for (const devices of [0, 1.5, NaN])
        await expect(start({ devices })).rejects.toMatchObject({ code: 'BAD_OPTION' });
    });
  });

  describe('what native code holds', () => {
    afterEach(async () => {
      const engine = await start();
      const counted = engine.live();
      await engine.dispose();
      expect(counted).toEqual({ ...NOTHING, clients: 1 });
      expect(engine.live()).toEqual(NOTHING);
    });

    it.each([1, 2])('does not grow over runs and is given back, %i devices', async (devices) => {
      const engine = await start({ devices });
      const { state, batch } = rowsArrays();
      const executable = await engine.compile(rowsStep());
      await executable.store.load(state);
      const held = { ...NOTHING, clients: 1, executables: 1, buffers: devices };
      expect(engine.live()).toEqual(held);
      for (let i = 0; i < 20; i++) await executable.run(batch);
      await Promise.all([executable.run(batch), executable.run(batch), executable.store.read([''])]);
      expect(engine.live()).toEqual(held);
      await executable.dispose();
      expect(engine.live()).toEqual({ ...held, executables: 0 });
      await executable.store.dispose();
      expect(engine.live()).toEqual({ ...NOTHING, clients: 1 });
      await engine.dispose();
    });

    it('is given back with the engine, whatever is still alive', async () => {
      const engine = await start();
      const executable = await engine.compile(rowsStep());
      await executable.store.load(rowsArrays().state);
      executable.prepare(rowsArrays().batch);
      const running = executable.run(rowsArrays().batch);
      await engine.dispose();
      await running;
      await expect(executable.store.read([''])).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
    });

    it('is given back after failures', async () => {
      const engine = await start();
      const executable = await engine.compile(rowsStep());
      await expect(executable.store.load({ w: new Float32Array(3) })).rejects.toMatchObject({ code: 'SHAPE_MISMATCH' });
      await expect(executable.run({})).rejects.toMatchObject({ code: 'SHAPE_MISMATCH' });
      await expect(engine.compile(rowsStep(), { commitIf: 'okk' })).rejects.toMatchObject({ code: 'UNKNOWN_NAME' });
      const greedy = await engine.compile(greedyStep(2 ** 38));
      await expect(greedy.run({})).rejects.toMatchObject({ code: 'OUT_OF_MEMORY' });
      expect(engine.live()).toEqual({ ...NOTHING, clients: 1, executables: 2 });
      await engine.dispose();
    });

    it('is no memory of the process either', async () => {
      const engine = await start();
      try {
        const executable = await engine.compile(adamStep([1000, 40_000]), { commitIf: 'ok' });
        const { state, batch } = adamArrays([1000, 40_000]);
        await executable.store.load(state);
        const after = async (runs: number): Promise<number> => {
          for (let i = 0; i < runs; i++) await executable.run(batch);
          return process.memoryUsage().rss;
        };
        // The first thousand runs warm the heaps up; one array of the step kept per run would be 160 MB.
        const before = await after(1000);
        expect((await after(1000)) - before).toBeLessThan(24 * 2 ** 20);
      } finally {
        await engine.dispose();
      }
    });
  });

  describe('compiled programs on disk', () => {
    let cache: string;
    beforeAll(() => {
      cache = mkdtempSync(join(tmpdir(), 'selfsup-xla-'));
    });
    afterAll(() => rmSync(cache, { recursive: true }));

    /** Runs once with a cache; the only file in it. */
    async function runCached(options: Partial<XlaOptions> = {}): Promise<{ sum: ArrayLike<number>; files: string[] }> {
      const engine = await start({ cache, ...options });
      const executable = await engine.compile(rowsStep());
      const { state, batch } = rowsArrays();
      await executable.store.load(state);
      const { sum } = await executable.run(batch);
      await engine.dispose();
      return { sum, files: readdirSync(cache).map((name) => join(cache, name)) };
    }

    it('are used again, and written again when they are damaged', async () => {
      const { sum, files } = await runCached();
      expect(files).toHaveLength(1);
      const whole = readFileSync(files[0]);
      const written = statSync(files[0]).ino;
      expect((await runCached()).sum).toEqual(sum);
      expect(statSync(files[0]).ino).toBe(written);
      const flipped = Buffer.from(whole);
      flipped[flipped.length >> 1] ^= 1;
      for (const damaged of [Buffer.alloc(0), whole.subarray(0, 100), flipped, Buffer.from('something else')]) {
        writeFileSync(files[0], damaged);
        expect((await runCached()).sum).toEqual(sum);
        expect(readFileSync(files[0]).equals(damaged)).toBe(false);
      }
    });

    it('are of one set of options and devices', async () => {
      const before = readdirSync(cache).length;
      await runCached({ overrides: { xla_cpu_enable_fast_math: true } });
      await runCached({ devices: 2 });
      expect(readdirSync(cache)).toHaveLength(before + 2);
    });

    it('cost nothing but time when the folder cannot be written to', async () => {
      const blocked = join(cache, 'file');
      writeFileSync(blocked, '');
      const engine = await start({ cache: blocked });
      await expect(engine.compile(rowsStep())).resolves.toBeDefined();
      await engine.dispose();
      rmSync(blocked);
    });
  });
});
