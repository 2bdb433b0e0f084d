import * as tf from '@tensorflow/tfjs-core';
import { propertyOptions } from '@selfsup/test-kit';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { interpret } from '../../src/interpret/interpret.js';
import { tfjsEngine } from '../../src/node.js';
import { caseBatch, caseGraph, DRAWN_OPS, opCases } from '../support/op-cases.js';

/** The erf of tfjs is a polynomial good to 1.5e-7, absolute; everything else is float32 rounding. */
const ATOL = 3e-6;
const RTOL = 2e-5;

describe.each(['cpu', 'wasm'])('every primitive on tfjs %s agrees with the interpreter', (backend) => {
  const engine = tfjsEngine({ backend });
  afterAll(() => engine.dispose());

  it.each(DRAWN_OPS)('%s', async (op) => {
    await fc.assert(
      fc.asyncProperty(opCases(op), async (drawn) => {
        const graph = caseGraph(drawn);
        const batch = caseBatch(drawn);
        const before = tf.memory().numTensors;
        const executable = await engine.compile(graph);
        const actual = await executable.run(batch);
        await executable.dispose();
        expect(tf.memory().numTensors).toBe(before);
        const expected = interpret(graph, {}, batch, { precision: 'f64' }).metrics;
        drawn.outputs.forEach(({ dtype }, i) => {
          const [a, e] = [actual[`y${i}`], expected[`y${i}`]];
          if (dtype === 'f32') expect(a).toBeAllclose(e, { rtol: RTOL, atol: ATOL });
          else expect(a).toEqual(e);
        });
      }),
      {...propertyOptions(200), endOnFailure: true},
    );
  });
});
