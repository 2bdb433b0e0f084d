import { type HostArrays, SslError, type SslErrorCode } from '@selfsup/core';
import type { CompileOptions, Engine, Executable, Graph } from '@selfsup/compile';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accumulator, boundaries, reader, swap } from './graphs.js';

/** A traced function with the numbers to expect of it. */
export interface EngineExample {
  readonly name: string;
  readonly graph: Graph | ((engine: Engine) => Graph);
  /** State before the run. */
  readonly state?: Readonly<HostArrays>;
  readonly batch: Readonly<HostArrays>;
  /** Metrics by name. */
  readonly metrics: Readonly<Record<string, ArrayLike<number>>>;
  /** State after the run, by name. */
  readonly after?: Readonly<Record<string, ArrayLike<number>>>;
  /** Error relative to the largest value of each result. Default 1e-5. */
  readonly maxRel?: number;
}

/** An engine, and functions traced for it. */
export interface EngineContract {
  readonly name: string;
  readonly create: () => Engine | Promise<Engine>;
  readonly examples: readonly EngineExample[];
}

const f32 = (...values: number[]): Float32Array => Float32Array.from(values);

async function codeOf(action: () => Promise<unknown>): Promise<SslErrorCode | 'no error' | 'another error'> {
  try {
    await action();
    return 'no error';
  } catch (error) {
    return SslError.is(error) ? error.code : 'another error';
  }
}

/**
 * What holds for every engine: right numbers, state that stays inside and moves on, stores shared between executables,
 * dropped updates where the flag says so, calls in order, and clear errors.
 */
export function engineContract(contract: EngineContract): void {
  describe(`engine contract: ${contract.name}`, () => {
    let engine: Engine;
    beforeAll(async () => {
      engine = await contract.create();
    });
    afterAll(async () => {
      await engine.dispose();
    });

    async function withExecutable(
      graph: Graph,
      use: (executable: Executable) => Promise<void>,
      options?: CompileOptions,
    ): Promise<void> {
      const executable = await engine.compile(graph, options);
      try {
        await use(executable);
      } finally {
        await executable.dispose();
        if (options?.store === undefined) await executable.store.dispose();
      }
    }

    it('names itself and its devices', () => {
      expect(engine.name).not.toBe('');
      expect(engine.devices().length).toBeGreaterThan(0);
    });

    describe.runIf(contract.examples.length > 0)('runs', () => {
      it.each(contract.examples)('$name', async (example) => {
        const graph = typeof example.graph === 'function' ? example.graph(engine) : example.graph;
        await withExecutable(graph, async (executable) => {
          const { state, batch, metrics, after = {}, maxRel = 1e-5 } = example;
          if (state !== undefined) await executable.store.load(state);
          const got = await executable.run(batch);
          expect(Object.keys(got).sort()).toEqual(Object.keys(metrics).sort());
          for (const [name, expected] of Object.entries(metrics)) expect(got[name]).toBeAllclose(expected, { maxRel });
          const names = Object.keys(after);
          if (names.length === 0) return;
          const left = await executable.store.read(names);
          for (const name of names) expect(left[name]).toBeAllclose(after[name], { maxRel });
        });
      });
    });

    it('takes and gives every element type', async () => {
      await withExecutable(boundaries(), async (executable) => {
        const metrics = await executable.run({
          bytes: Uint8Array.of(0, 1, 200, 255),
          integers: Int32Array.of(-5, 1, 70_000, 0),
          mask: Uint8Array.of(1, 0, 1, 0),
        });
        expect(metrics['sum']).toEqual(Int32Array.of(-5, 2, 70_200, 255));
        expect(metrics['kept']).toEqual(Int32Array.of(-5, 1, 70_200, 0));
        expect(metrics['flipped']).toEqual(Uint8Array.of(0, 1, 0, 1));
      });
    });

    it('keeps state inside and moves it on', async () => {
      await withExecutable(accumulator(), async (executable) => {
        const start = f32(1, 2, 3);
        await executable.store.load({ total: start });
        start.fill(99);
        const x = f32(10, 20, 30);
        for (const sum of [66, 126, 186]) expect((await executable.run({ x }))['sum']).toBeAllclose([sum]);
        const { total } = await executable.store.read(['tot']);
        expect(total).toBeAllclose([31, 62, 93]);
        total.fill(0);
        expect((await executable.store.read(['total']))['total']).toBeAllclose([31, 62, 93]);
        expect(executable.store.specs()).toEqual({ total: { shape: [3], dtype: 'f32' } });
      });
    });

    it('hands out metrics that later runs leave alone', async () => {
      await withExecutable(accumulator(), async (executable) => {
        await executable.store.load({ total: f32(0, 0, 0) });
        const { sum } = await executable.run({ x: f32(1, 1, 1) });
        await executable.run({ x: f32(1, 1, 1) });
        expect(sum).toBeAllclose([3]);
      });
    });

    it('runs calls in order, one at a time', async () => {
      await withExecutable(accumulator(), async (executable) => {
        await executable.store.load({ total: f32(0, 0, 0) });
        const runs = [1, 2, 3, 4].map((k) => executable.run({ x: f32(k, 0, 0) }));
        const sums = (await Promise.all(runs)).map((metrics) => metrics['sum'][0]);
        expect(sums).toBeAllclose([1, 3, 6, 10]);
      });
    });

    it('updates states that depend on each other together', async () => {
      await withExecutable(swap(), async (executable) => {
        await executable.store.load({ first: f32(1, 2), second: f32(10, 20) });
        await executable.run({});
        expect(await executable.store.read([''])).toEqual({ first: f32(10, 20), second: f32(2, 3) });
        await executable.run({});
        expect(await executable.store.read([''])).toEqual({ first: f32(2, 3), second: f32(11, 21) });
      });
    });

    it.each(['bool', 'f32'] as const)('drops the update when the %s flag is false', async (flag) => {
      await withExecutable(
        accumulator(flag),
        async (executable) => {
          await executable.store.load({ total: f32(1, 2, 3) });
          const bad = await executable.run({ x: f32(1, NaN, 1) });
          expect(bad['ok'][0]).toBe(0);
          expect((await executable.store.read(['total']))['total']).toEqual(f32(1, 2, 3));
          const good = await executable.run({ x: f32(1, 1, 1) });
          expect(good['ok'][0]).toBe(1);
          expect(good['sum']).toBeAllclose([9]);
          expect((await executable.store.read(['total']))['total']).toEqual(f32(2, 3, 4));
        },
        { commitIf: 'ok' },
      );
    });

    it('shares a store between executables', async () => {
      const store = engine.createStore();
      await withExecutable(
        accumulator(),
        (writing) =>
          withExecutable(
            reader(),
            async (reading) => {
              await store.load({ total: f32(1, 2, 3) });
              expect((await reading.run({}))['copy']).toEqual(f32(1, 2, 3));
              await writing.run({ x: f32(1, 1, 1) });
              const seen = await reading.run({});
              expect(seen['copy']).toEqual(f32(2, 3, 4));
              expect(seen['double']).toEqual(f32(4, 6, 8));
              await writing.run({ x: f32(1, 1, 1) });
              expect((await store.read(['total']))['total']).toEqual(f32(3, 4, 5));
            },
            { store },
          ),
        { store },
      );
      await store.dispose();
    });

    it('refuses executables that disagree about a shared name', async () => {
      const store = engine.createStore();
      await withExecutable(
        accumulator(),
        async () => {
          const before = store.specs();
          expect(await codeOf(() => engine.compile(reader(4, 'other'), { store }))).toBe('SHAPE_MISMATCH');
          expect(store.specs()).toEqual(before);
        },
        { store },
      );
      await store.dispose();
    });

    it('ends what was asked for before it is disposed of, and refuses the rest', async () => {
      const executable = await engine.compile(accumulator());
      const { store } = executable;
      const refused = expect.not.stringMatching('error');
      await store.load({ total: f32(1, 2, 3) });
      const before = executable.run({ x: f32(1, 1, 1) });
      const disposal = executable.dispose();
      const after = codeOf(() => executable.run({ x: f32(1, 1, 1) }));
      expect((await before)['sum']).toBeAllclose([9]);
      expect(await after).toEqual(refused);
      await disposal;
      const read = store.read(['total']);
      const end = store.dispose();
      const late = codeOf(() => store.load({ total: f32(1, 2, 3) }));
      expect(await read).toEqual({ total: f32(2, 3, 4) });
      expect(await late).toEqual(refused);
      await end;
      await executable.dispose();
      await store.dispose();
    });

    it('refuses wrong names and lengths, and goes on', async () => {
      await withExecutable(accumulator(), async (executable) => {
        const { store } = executable;
        const run = (batch: HostArrays): Promise<HostArrays> => executable.run(batch);
        expect(await codeOf(() => store.load({ totl: f32(1, 2, 3) }))).toBe('SHAPE_MISMATCH');
        expect(await codeOf(() => store.load({ total: f32(1, 2) }))).toBe('SHAPE_MISMATCH');
        expect(await codeOf(() => store.read(['student.']))).toBe('NO_PARAMS_MATCHED');
        await store.load({ total: f32(1, 2, 3) });
        expect(await codeOf(() => run({}))).toBe('SHAPE_MISMATCH');
        expect(await codeOf(() => run({ x: f32(1, 2, 3), y: f32(1) }))).toBe('SHAPE_MISMATCH');
        expect(await codeOf(() => run({ x: f32(1, 2) }))).toBe('SHAPE_MISMATCH');
        expect(await codeOf(() => run({ x: Int32Array.of(1, 2, 3) }))).toBe('SHAPE_MISMATCH');
        expect((await run({ x: f32(1, 1, 1) }))['sum']).toBeAllclose([9]);
      });
    });
  });
}
