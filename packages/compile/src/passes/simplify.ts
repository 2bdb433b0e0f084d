import { sameShape } from '@selfsup/core';
import type { Graph, Node, Value, ValueId } from '../graph/graph.js';

/** What a rule may look at. */
interface View {
  value(id: ValueId): Value;
  /** The node that computes a value; undefined for inputs and constants. */
  producer(id: ValueId): Node | undefined;
  /** The single number a constant consists of. */
  splat(id: ValueId): number | undefined;
}

type Rewrite = { readonly alias: ValueId } | { readonly node: Node } | undefined;

const isIdentityPermutation = (p: readonly number[]): boolean => p.every((d, i) => d === i);

/** x op c = x for a neutral constant that does not broaden the shape. */
function neutral(view: View, node: Node, side: 0 | 1, constant: number): Rewrite {
  const other = node.inputs[1 - side];
  const out = view.value(node.outputs[0]);
  if (view.splat(node.inputs[side]) !== constant || !sameShape(view.value(other).shape, out.shape)) return undefined;
  return { alias: other };
}

function simplifyNode(view: View, node: Node): Rewrite {
  const out = view.value(node.outputs[0]);
  const x = node.inputs.length > 0 ? view.value(node.inputs[0]) : undefined;
  switch (node.op) {
    case 'add':
      return neutral(view, node, 1, 0) ?? neutral(view, node, 0, 0);
    case 'subtract':
      return neutral(view, node, 1, 0);
    case 'multiply':
      return neutral(view, node, 1, 1) ?? neutral(view, node, 0, 1);
    case 'divide':
      return neutral(view, node, 1, 1);
    case 'convert':
      return x?.dtype === out.dtype ? { alias: node.inputs[0] } : undefined;
    case 'broadcast_in_dim':
      return x !== undefined && sameShape(x.shape, out.shape) ? { alias: node.inputs[0] } : undefined;
    case 'slice': {
      const whole =
        x !== undefined && sameShape(x.shape, out.shape) && (node.attrs['strides'] as number[]).every((s) => s === 1);
      return whole ? { alias: node.inputs[0] } : undefined;
    }
    case 'pad':
      return x !== undefined && sameShape(x.shape, out.shape) ? { alias: node.inputs[0] } : undefined;
    case 'reduce':
      return (node.attrs['dimensions'] as number[]).length === 0 ? { alias: node.inputs[0] } : undefined;
    case 'reshape': {
      if (x !== undefined && sameShape(x.shape, out.shape)) return { alias: node.inputs[0] };
      const inner = view.producer(node.inputs[0]);
      return inner?.op === 'reshape' ? { node: { ...node, inputs: inner.inputs } } : undefined;
    }
    case 'transpose': {
      const p = node.attrs['permutation'] as number[];
      if (isIdentityPermutation(p)) return { alias: node.inputs[0] };
      const inner = view.producer(node.inputs[0]);
      if (inner?.op !== 'transpose') return undefined;
      const q = inner.attrs['permutation'] as number[];
      return { node: { ...node, inputs: inner.inputs, attrs: { permutation: p.map((d) => q[d]) } } };
    }
    case 'negate': {
      const inner = view.producer(node.inputs[0]);
      return inner?.op === 'negate' ? { alias: inner.inputs[0] } : undefined;
    }
    default:
      return undefined;
  }
}

/** Removes operations that change nothing and folds chains of reshapes, transposes and negations. */
export function simplify(graph: Graph): Graph {
  const alias = new Map<ValueId, ValueId>();
  const producers = new Map<ValueId, Node>();
  const to = (id: ValueId): ValueId => alias.get(id) ?? id;
  const view: View = {
    value: (id) => graph.values[id],
    producer: (id) => producers.get(id),
    splat: (id) => {
      const data = graph.values[id].data;
      return data?.length === 1 ? data[0] : undefined;
    },
  };
  const nodes: Node[] = [];
  for (const original of graph.nodes) {
    const node = { ...original, inputs: original.inputs.map(to) };
    const rewrite = simplifyNode(view, node);
    if (rewrite !== undefined && 'alias' in rewrite) {
      alias.set(node.outputs[0], rewrite.alias);
      continue;
    }
    const kept = rewrite === undefined ? node : rewrite.node;
    nodes.push(kept);
    kept.outputs.forEach((o) => producers.set(o, kept));
  }
  return { ...graph, nodes, results: graph.results.map((r) => ({ ...r, value: to(r.value) })) };
}
