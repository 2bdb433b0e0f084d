import '@tensorflow/tfjs';
import type { HostTensor } from '@selfsup/core';
import type { FixtureCase } from './fixtures.js';
import * as tf from '@tensorflow/tfjs-core';

/** An array on the host with its shape, of any precision. */
export interface HostNumbers {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

export type NamedNumbers = Readonly<Record<string, HostNumbers>>;
export type NamedTensors = Record<string, tf.Tensor>;

/** A function with the numbers to expect of it. Nothing is read on the way, so it can be traced as well as run. */
export interface GoldenFunction {
  readonly name: string;
  /** float32 once they are tensors. */
  readonly inputs: NamedNumbers;
  readonly compute: (inputs: NamedTensors) => NamedTensors;
  readonly check: (outputs: Record<string, HostTensor>) => void;
}

/** State and outputs after a call. */
export interface Found {
  readonly state: Record<string, HostTensor>;
  readonly outputs: Record<string, HostTensor>;
}

/** A step with state, called several times in a row; like {@link GoldenFunction} otherwise. */
export interface GoldenSequence {
  readonly name: string;
  readonly state: NamedNumbers;
  /** Inputs of every call: the same names and shapes. */
  readonly calls: readonly NamedNumbers[];
  readonly step: (state: NamedTensors, inputs: NamedTensors) => { state: NamedTensors; outputs: NamedTensors };
  readonly check: (found: Found, call: number) => void;
}

/** Runs a function on the current backend. */
function runEagerly({ inputs, compute }: GoldenFunction): Record<string, HostTensor> {
  return tidied(() => toHosts(compute(toTensors(inputs))));
}

/** Runs the calls of a sequence on the current backend. */
function replayEagerly({ state, calls, step }: GoldenSequence): Found[] {
  let kept = state;
  return calls.map((inputs) => {
    const found = tidied(() => {
      const result = step(toTensors(kept), toTensors(inputs));
      return { state: toHosts(result.state), outputs: toHosts(result.outputs) };
    });
    kept = found.state;
    return found;
  });
}

/** Checks a function or a sequence on the current backend. */
export function checkEagerly(golden: GoldenFunction | GoldenSequence): void {
  if ('compute' in golden) golden.check(runEagerly(golden));
  else replayEagerly(golden).forEach((found, call) => golden.check(found, call));
}

/**
 * Gradients of a scalar with respect to the named tensors that `f` closes over, zeros where none arrives, and the scalar
 * itself with whatever else `f` has computed on the way.
 */
export function gradientsOf<Outputs extends Readonly<Record<'value', tf.Tensor>>>(
  inputs: Readonly<NamedTensors>,
  f: () => Outputs,
): { outputs: Outputs; gradients: NamedTensors } {
  const names = Object.keys(inputs);
  let kept: NamedTensors = {};
  const { grads } = tf.engine().gradients(
    () =>
      tf.tidy(() => {
        const outputs = f();
        kept = mapped(outputs, (tensor) => tf.keep(tf.clone(tensor)));
        return outputs.value;
      }),
    names.map((name) => inputs[name]),
    undefined,
    true,
  );
  const found = grads as (tf.Tensor | null | undefined)[];
  const outputs = mapped(kept, (tensor) => tf.clone(tensor)) as unknown as Outputs;
  tf.dispose(kept);
  return {
    outputs,
    gradients: Object.fromEntries(names.map((name, i) => [name, found[i] ?? tf.zerosLike(inputs[name])])),
  };
}

function mapped<T, U>(entries: Readonly<Record<string, T>>, map: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(entries).map(([name, value]) => [name, map(value)]));
}

/** Entries with a prefix before their names. */
export function prefixed<T>(prefix: string, entries: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(entries).map(([name, value]) => [prefix + name, value]));
}

/** Entries below a prefix, without it. */
export function under<T>(prefix: string, entries: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(
    Object.entries(entries)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, value]) => [name.slice(prefix.length), value]),
  );
}

/** The tensors of a fixture below a prefix, without it. */
export function below(fixture: FixtureCase, prefix: string): NamedNumbers {
  return under(prefix, fixture.tensors());
}

/** Parameters of a model whose blocks are in chunks (`blocks.<chunk>.<i>.`) by the names of one without. */
export function unchunked<T>(parameters: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [name.replace(/\bblocks\.\d+\.(\d+)\./, 'blocks.$1.'), value]),
  );
}

/** Numbers in another shape. */
export function reshaped({ data }: HostNumbers, shape: readonly number[]): HostNumbers {
  return { shape, data };
}

/** A number as an input. */
export function scalarNumber(value: number): HostNumbers {
  return { shape: [], data: [value] };
}

/** float32 tensors of named arrays. */
export function toTensors(arrays: NamedNumbers): NamedTensors {
  return mapped(arrays, ({ shape, data }) => tf.tensor(Float32Array.from(data), [...shape], 'float32'));
}

function toHosts(tensors: Readonly<NamedTensors>): Record<string, HostTensor> {
  return mapped(tensors, (tensor) => ({ shape: tensor.shape, dtype: 'f32', data: tensor.dataSync<'float32'>() }));
}

/** `tf.tidy` for functions that return plain data. */
function tidied<T>(f: () => T): T {
  tf.engine().startScope();
  try {
    return f();
  } finally {
    tf.engine().endScope();
  }
}
