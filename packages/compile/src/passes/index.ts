import type { Graph } from '../graph/graph.js';
import { eliminateCommon } from './common-subexpressions.js';
import { eliminateDead } from './dead-code.js';
import { rematerialize } from './rematerialize.js';
import { simplify } from './simplify.js';

/** Algebraic clean-up, common subexpressions, dead code; in this order until nothing changes (three rounds suffice). */
export function optimizeGraph(graph: Graph): Graph {
  let current = graph;
  for (let round = 0; round < 3; round++) {
    const next = eliminateDead(eliminateCommon(simplify(current)));
    if (next.nodes.length === current.nodes.length && round > 0) return next;
    current = next;
  }
  return current;
}

export { eliminateCommon, eliminateDead, rematerialize, simplify };
