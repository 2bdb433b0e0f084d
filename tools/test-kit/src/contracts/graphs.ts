import type { DType } from '@selfsup/core';
import type { Graph, GraphDType, Node, Op, Result, Role, Value, ValueId } from '@selfsup/compile';

/** Writes small graphs by hand, so that an engine can be tested without the tracer. */
export class GraphWriter {
  readonly #values: Value[] = [];
  readonly #inputs: ValueId[] = [];
  readonly #nodes: Node[] = [];
  readonly #results: Result[] = [];

  #add(role: Role, name: string, shape: readonly number[], dtype: GraphDType, more: Partial<Value> = {}): ValueId {
    const id = this.#values.length;
    this.#values.push({ id, shape, dtype, role, name, ...more });
    return id;
  }

  input(role: 'state' | 'batch', name: string, shape: readonly number[], dtype: DType = 'f32'): ValueId {
    const id = this.#add(role, name, shape, dtype === 'u8' ? 'i32' : dtype, { boundary: dtype });
    this.#inputs.push(id);
    return id;
  }

  constant(data: Float32Array, shape: readonly number[]): ValueId {
    return this.#add('constant', `constant${this.#values.length}`, shape, 'f32', { data });
  }

  op(
    op: Op,
    inputs: ValueId[],
    shape: readonly number[],
    { dtype = 'f32', attrs = {} }: { dtype?: GraphDType; attrs?: Node['attrs'] } = {},
  ): ValueId {
    return this.ops(op, inputs, [{ shape, dtype }], attrs)[0];
  }

  /** An operation with any number of outputs. */
  ops(
    op: Op,
    inputs: readonly ValueId[],
    outputs: readonly { readonly shape: readonly number[]; readonly dtype: GraphDType }[],
    attrs: Node['attrs'] = {},
  ): ValueId[] {
    const ids = outputs.map(({ shape, dtype }) =>
      this.#add('intermediate', `${op}${this.#values.length}`, shape, dtype),
    );
    this.#nodes.push({ op, inputs, outputs: ids, attrs });
    return ids;
  }

  result(kind: Result['kind'], name: string, value: ValueId): void {
    this.#results.push({ kind, name, value });
  }

  graph(name: string): Graph {
    return { name, values: this.#values, inputs: this.#inputs, nodes: this.#nodes, results: this.#results };
  }
}

/** Adds `x` to `total`; metrics: the sum of the new total, and `ok`, whether it is finite (bool, or f32 0/1). */
export function accumulator(flag: 'bool' | 'f32' = 'bool', size = 3): Graph {
  const g = new GraphWriter();
  const total = g.input('state', 'total', [size]);
  const x = g.input('batch', 'x', [size]);
  const next = g.op('add', [total, x], [size]);
  const finite = g.op('is_finite', [next], [size], { dtype: 'bool' });
  const all = g.op('reduce', [finite], [], { dtype: 'bool', attrs: { kind: 'all', dimensions: [0], keepDims: false } });
  const ok = flag === 'bool' ? all : g.op('convert', [all], []);
  const sum = g.op('reduce', [next], [], { attrs: { kind: 'sum', dimensions: [0], keepDims: false } });
  g.result('state', 'total', next);
  g.result('metric', 'sum', sum);
  g.result('metric', 'ok', ok);
  return g.graph('accumulator');
}

/** Swaps `first` and `second`, adding 1 to what becomes `second`: wrong when state is overwritten while still needed. */
export function swap(): Graph {
  const g = new GraphWriter();
  const first = g.input('state', 'first', [2]);
  const second = g.input('state', 'second', [2]);
  const one = g.constant(Float32Array.of(1), [2]);
  g.result('state', 'first', second);
  g.result('state', 'second', g.op('add', [first, one], [2]));
  return g.graph('swap');
}

/** Reads `total` without changing it: metric `copy` is the state itself, `double` twice it. @param other - more state */
export function reader(size = 3, other?: string): Graph {
  const g = new GraphWriter();
  if (other !== undefined) g.input('state', other, [2]);
  const total = g.input('state', 'total', [size]);
  g.result('metric', 'copy', total);
  g.result('metric', 'double', g.op('add', [total, total], [size]));
  return g.graph('reader');
}

/** Every element type across the boundary: u8 and i32 in, i32 and bool out. */
export function boundaries(): Graph {
  const g = new GraphWriter();
  const bytes = g.input('batch', 'bytes', [4], 'u8');
  const integers = g.input('batch', 'integers', [4], 'i32');
  const mask = g.input('batch', 'mask', [4], 'bool');
  const sum = g.op('add', [bytes, integers], [4], { dtype: 'i32' });
  g.result('metric', 'sum', sum);
  g.result('metric', 'kept', g.op('select', [mask, sum, integers], [4], { dtype: 'i32' }));
  g.result('metric', 'flipped', g.op('not', [mask], [4], { dtype: 'bool' }));
  return g.graph('boundaries');
}
