import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import onnxProto from 'onnx-proto';
import { describe, expect, it } from 'vitest';
import type { OnnxFile } from '../../src/emit/file.js';
import type { OnnxNode } from '../../src/emit/model.js';
import { executionOrder } from '../../src/emit/schedule.js';
import { onnxruntimeEngine } from '../../src/index.js';
import { deepChain } from '../support/steps.js';

interface NamedNode extends OnnxNode {
  readonly name: string;
}

function nodesOf({ bytes }: OnnxFile): NamedNode[] {
  return (onnxProto.onnx.ModelProto.decode(bytes).graph?.node ?? []).map((n) => ({
    name: n.name ?? '',
    op: n.opType ?? '',
    domain: n.domain ?? '',
    inputs: n.input ?? [],
    outputs: n.output ?? [],
    attrs: Object.fromEntries((n.attribute ?? []).map((a) => [a.name ?? '', Number(a.i ?? 0)])),
  }));
}

/** Names of the nodes in the order onnxruntime ran them. */
async function profiledOrder(graph: ReturnType<typeof deepChain>): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'selfsup-order-'));
  const engine = await onnxruntimeEngine({ threads: 1, profile: join(folder, 'p') });
  const executable = await engine.compile(graph);
  await executable.run({ x: new Float32Array(8 * 4) });
  await executable.dispose();
  await engine.dispose();
  const file = readdirSync(folder).find((name) => name.includes('first')) ?? '';
  const events = JSON.parse(readFileSync(join(folder, file), 'utf8')) as { cat: string; name: string }[];
  rmSync(folder, { recursive: true });
  return events
    .filter((e) => e.cat === 'Node' && e.name.endsWith('_kernel_time'))
    .map((e) => e.name.replace(/_kernel_time$/, ''));
}

describe('order of execution', () => {
  it('is what we think it is', async () => {
    const graph = deepChain(6, 8, 4);
    const ran = await profiledOrder(graph);
    const order = (await firstFileOrder(graph)).map((n) => n.name);
    expect(ran).toEqual(order);
  });

  it('goes backward layer by layer, whatever the order of the results', async () => {
    const order = await firstFileOrder(deepChain(6, 8, 4));
    const products = order.filter((n) => n.op === 'MatMul' || n.op === 'FusedMatMul');
    const kinds = products.map((n) =>
      n.attrs['transA'] === 1 ? 'weight' : n.attrs['transB'] === 1 ? 'input' : 'forward',
    );
    const backward = [
      'weight',
      'input',
      'weight',
      'input',
      'weight',
      'input',
      'weight',
      'input',
      'weight',
      'input',
      'weight',
    ];
    expect(kinds).toEqual([...Array<string>(6).fill('forward'), ...backward]);
  });
});

async function firstFileOrder(graph: ReturnType<typeof deepChain>): Promise<NamedNode[]> {
  const { firstFile } = await import('../../src/runtime/executable.js');
  const { planPhases } = await import('../../src/runtime/phases.js');
  return executionOrder(nodesOf(firstFile(graph, planPhases(graph)))) as NamedNode[];
}
