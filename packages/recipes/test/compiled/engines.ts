import { compileFunction, compileStep, type Engine } from '@selfsup/compile';
import { type HostArrays, type HostTensor, type Specs } from '@selfsup/core';
import type { FixtureCase } from '@selfsup/test-kit';
import { afterAll, beforeAll, describe, it } from 'vitest';
import {
  type Found,
  type GoldenFunction,
  type GoldenSequence,
  type NamedNumbers,
  prefixed,
  under,
} from '@selfsup/test-kit/golden-case';
import { ENGINES } from '../engines.js';

/** Checks the functions of every fixture on every engine; those of one fixture are compiled as one. */
export function compiledFunctions(
  fixtures: readonly FixtureCase[],
  casesOf: (fixture: FixtureCase) => readonly GoldenFunction[],
): void {
  onEveryEngine((engine) => {
    describe.each(fixtures)('$name', (fixture) => {
      const cases = casesOf(fixture).map((golden, index) => ({ name: golden.name, golden, index }));
      let found: Record<string, HostTensor>[];
      beforeAll(async () => {
        found = await runTogether(
          engine(),
          cases.map(({ golden }) => golden),
        );
      });
      it.each(cases)('$name', ({ golden, index }) => golden.check(found[index]));
    });
  });
}

/** Checks the sequences of every fixture on every engine, each a compiled step whose state stays in the engine. */
export function compiledSequences(
  fixtures: readonly FixtureCase[],
  casesOf: (fixture: FixtureCase) => readonly GoldenSequence[],
): void {
  onEveryEngine((engine) => {
    describe.each(fixtures)('$name', (fixture) => {
      it.each(casesOf(fixture))('$name', async (golden) => {
        const found = await replay(engine(), golden);
        found.forEach((one, call) => golden.check(one, call));
      });
    });
  });
}

function onEveryEngine(tests: (engine: () => Engine) => void): void {
  describe.each(Object.entries(ENGINES))('%s', (_, create) => {
    let engine: Engine;
    beforeAll(async () => {
      engine = await create();
    });
    afterAll(() => engine.dispose());
    tests(() => engine);
  });
}

async function runTogether(engine: Engine, cases: readonly GoldenFunction[]): Promise<Record<string, HostTensor>[]> {
  const all = cases.map((golden, i) => prefixed(`${i}/`, golden.inputs));
  const inputs: NamedNumbers = Object.assign({}, ...all);
  const shapes: Record<string, readonly number[]> = {};
  const compiled = await compileFunction(
    (tensors) => {
      const outputs = cases.map(({ compute }, i) => prefixed(`${i}/`, compute(under(`${i}/`, tensors))));
      const together = Object.assign({}, ...outputs) as ReturnType<GoldenFunction['compute']>;
      for (const [name, { shape }] of Object.entries(together)) shapes[name] = shape;
      return together;
    },
    { engine, inputs: specsOf(inputs) },
  );
  const outputs = withShapes(await compiled(arraysOf(inputs)), shapes);
  await compiled.dispose();
  return cases.map((_, i) => under(`${i}/`, outputs));
}

async function replay(engine: Engine, golden: GoldenSequence): Promise<Found[]> {
  const shapes: Record<string, readonly number[]> = {};
  const compiled = await compileStep(
    (state, inputs) => {
      const next = golden.step(state, inputs);
      for (const [name, { shape }] of Object.entries(next.outputs)) shapes[name] = shape;
      return { state: next.state, metrics: next.outputs };
    },
    { engine, state: specsOf(golden.state), batch: specsOf(golden.calls[0]) },
  );
  await compiled.load(arraysOf(golden.state));
  const stateShapes = Object.fromEntries(Object.entries(golden.state).map(([name, { shape }]) => [name, shape]));
  const found: Found[] = [];
  for (const inputs of golden.calls) {
    const outputs = withShapes(await compiled.run(arraysOf(inputs)), shapes);
    // Every name is a prefix of itself.
    found.push({ outputs, state: withShapes(await compiled.read(Object.keys(stateShapes)), stateShapes) });
  }
  await compiled.dispose();
  await compiled.store.dispose();
  return found;
}

function specsOf(numbers: NamedNumbers): Specs {
  return Object.fromEntries(Object.entries(numbers).map(([name, { shape }]) => [name, { shape, dtype: 'f32' }]));
}

function arraysOf(numbers: NamedNumbers): HostArrays {
  return Object.fromEntries(Object.entries(numbers).map(([name, { data }]) => [name, Float32Array.from(data)]));
}

function withShapes(arrays: HostArrays, shapes: Record<string, readonly number[]>): Record<string, HostTensor> {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, { shape, dtype: 'f32', data: arrays[name] }]),
  );
}
