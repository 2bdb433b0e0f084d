import '../index.js';
import { COMPOSITES, interpret, PRIMITIVES, type Engine } from '@selfsup/compile';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { propertyOptions } from '../property.js';
import { OPERATION_CASES } from './cases.js';
import { OPERATION_DRAWS } from './draws.js';
import { i32, oneNode, type OperationCase } from './operands.js';

const ARRAYS = { f32: Float32Array, i32: Int32Array, bool: Uint8Array } as const;

/** Runs one operation on an engine and in plain JavaScript with doubles; compares. */
async function compare(
  engine: Engine,
  { op, inputs, outputs, attrs, maxRel = 2e-6, atol = 0 }: OperationCase,
): Promise<void> {
  const { graph, batch } = oneNode(op, inputs, outputs, attrs);
  const expected = interpret(graph, {}, batch, { precision: 'f64' }).metrics;
  const executable = await engine.compile(graph);
  try {
    const got = await executable.run(batch);
    outputs.forEach(([, dtype = 'f32'], i) => {
      expect(got[`y${i}`]).toBeInstanceOf(ARRAYS[dtype]);
      expect(got[`y${i}`]).toBeAllclose(expected[`y${i}`], { maxRel, atol });
    });
  } finally {
    await executable.dispose();
    await executable.store.dispose();
  }
}

/** An engine whose operations are compared with the interpreter. */
export interface OperationContract {
  readonly name: string;
  readonly create: () => Engine | Promise<Engine>;
  /** Random cases of each operation. Default 8. */
  readonly runs?: number;
}

/** Every primitive and composite on an engine gives what the interpreter gives in double. */
export function operationContract({ name, create, runs = 8 }: OperationContract): void {
  describe(`operations of ${name} agree with the interpreter in double`, () => {
    let engine: Engine;
    beforeAll(async () => {
      engine = await create();
    });
    afterAll(() => engine.dispose());

    const titled = OPERATION_CASES.map((c) => ({ ...c, title: c.note === undefined ? c.op : `${c.op} (${c.note})` }));
    it.each(titled)('$title', (c) => compare(engine, c));

    it.each(Object.entries(OPERATION_DRAWS))('%s of any shape and type', async (_, draw) => {
      await fc.assert(
        fc.asyncProperty(draw, (c) => compare(engine, c)),
        propertyOptions(runs),
      );
    });

    it.each(['divide', 'remainder'] as const)('%s of whole numbers by zero gives something', async (op) => {
      // What, is nobody's promise; the processor's own instruction would end the process.
      const { graph, batch } = oneNode(op, [i32([3], [3, 0, -3]), i32([3], [0, 0, 0])], [[[3], 'i32']]);
      const executable = await engine.compile(graph);
      expect((await executable.run(batch))['y0']).toHaveLength(3);
      await executable.dispose();
      await executable.store.dispose();
    });

    it('all of them', () => {
      const covered = new Set(OPERATION_CASES.map((c) => c.op));
      expect([...PRIMITIVES, ...COMPOSITES].filter((op) => !covered.has(op))).toEqual([]);
    });
  });
}
