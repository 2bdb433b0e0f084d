// What a run costs on the host: a program with 1,000 state tensors of 4 numbers that does next to nothing with them.
//   npm run xla-overhead --workspace benchmarks [-- path/to/plugin.so]          (else the installed CPU plugin)
import { GraphBuilder, type Graph } from '@selfsup/compile';
import { spreadOf } from '@selfsup/bench-kit';
import { xlaEngine } from '@selfsup/engine-xla';
import { findPlugin } from '@selfsup/engine-xla/plugins';

const TENSORS = 1000;
const ROUNDS = Number(process.env['ROUNDS'] ?? 300);
const WARM_UP = 50;

/** Adds a number to every state tensor; the metric is one of the sums. */
function additions(tensors: number): Graph {
  const b = new GraphBuilder();
  const spec = { shape: [4], dtype: 'f32' } as const;
  const x = b.input('batch', 'x', { shape: [], dtype: 'f32' });
  const sums = Array.from({ length: tensors }, (_, i) => {
    const [sum] = b.node('add', [b.input('state', `w${i}`, spec), x], {}, [spec]);
    b.result('state', `w${i}`, sum);
    return sum;
  });
  b.result('metric', 'first', sums[0]);
  return b.build(`additions-${tensors}`);
}

const engine = await xlaEngine({ plugin: process.argv[2] ?? findPlugin('cpu').path });
const milliseconds: Record<number, number> = {};
for (const tensors of [1, TENSORS]) {
  const executable = await engine.compile(additions(tensors));
  const times: number[] = [];
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    const start = performance.now();
    await executable.run({ x: Float32Array.of(1) });
    if (round >= 0) times.push(performance.now() - start);
  }
  milliseconds[tensors] = spreadOf(times).median;
  await executable.dispose();
}
await engine.dispose();
process.stdout.write(
  `${JSON.stringify({
    what: 'one run on the host, XLA executing the additions included',
    rounds: ROUNDS,
    millisecondsWithOneTensor: Number(milliseconds[1].toFixed(3)),
    [`millisecondsWith${TENSORS}Tensors`]: Number(milliseconds[TENSORS].toFixed(3)),
  })}\n`,
);
