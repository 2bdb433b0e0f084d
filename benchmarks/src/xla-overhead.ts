// What a run costs on the host, with 1,000 state tensors of 4 numbers: a program that gives back what it takes, all but
// one through a reshaping that XLA drops, so that the device has next to nothing to do; and one that adds a number to each,
// so that XLA also starts 1,000 small computations.
// Beside the second the same program in JAX where Python has it, rounds in turn.
//   PYTHON=path/to/python/with/jax npm run xla-overhead --workspace benchmarks [-- path/to/plugin.so]
import { GraphBuilder, type Graph } from '@selfsup/compile';
import {
  appendResult,
  interleave,
  runCommand,
  startWorker,
  timed,
  type BenchWorker,
  type Round,
} from '@selfsup/bench-kit';
import { xlaEngine } from '@selfsup/engine-xla';
import { findPlugin } from '@selfsup/engine-xla/plugins';
import { here, python } from './workers.js';

const TENSORS = 1000;
const ROUNDS = Number(process.env['ROUNDS'] ?? 300);
const WARM_UP = 50;

/** Adds a number to the first `added` state tensors and gives the others back; the metric is one of the sums. */
function additions(tensors: number, added = tensors): Graph {
  const b = new GraphBuilder();
  const spec = { shape: [4], dtype: 'f32' } as const;
  const x = b.input('batch', 'x', { shape: [], dtype: 'f32' });
  const results = Array.from({ length: tensors }, (_, i) => {
    const before = b.input('state', `w${i}`, spec);
    // State that is returned as it came would be no result at all: the engine leaves it where it is.
    const [after] = i < added ? b.node('add', [before, x], {}, [spec]) : b.node('reshape', [before], {}, [spec]);
    b.result('state', `w${i}`, after);
    return after;
  });
  b.result('metric', 'first', results[0]);
  return b.build(`additions-${added}-of-${tensors}`);
}

const engine = await xlaEngine({ plugin: process.argv[2] ?? findPlugin('cpu').path });
const rounds: Record<string, Round> = {};
for (const [name, graph] of [
  ['given back', additions(TENSORS, 1)],
  [`ours ${TENSORS}`, additions(TENSORS)],
  ['ours 1', additions(1)],
] as const) {
  const executable = await engine.compile(graph);
  rounds[name] = timed(() => executable.run({ x: Float32Array.of(1) }));
}

const { code } = await runCommand({ program: python, args: ['-c', 'import jax'] }).catch(() => ({ code: 1 }));
const peers: BenchWorker[] = [];
let jax: string | undefined;
if (code === 0) {
  for (const tensors of [1, TENSORS]) {
    const peer = startWorker({ program: python, args: [here('../peers/overhead.py'), '--tensors', `${tensors}`] });
    peers.push(peer);
    rounds[`jax ${tensors}`] = async () => {
      const { seconds, version } = (await peer.ask('run')) as { seconds: number; version: string };
      jax = version;
      return seconds;
    };
  }
} else {
  process.stderr.write(`${python} has no JAX: nothing to compare with\n`);
}
const seconds = await interleave(rounds, ROUNDS, WARM_UP).finally(async () => {
  await Promise.all(peers.map((peer) => peer.stop()));
  await engine.dispose();
});
const milliseconds = (name: string): string | undefined =>
  name in seconds ? (1000 * seconds[name].median).toFixed(3) : undefined;
const row = {
  what: 'a run that gives the state back; and with an addition to each tensor, which XLA executes within that time',
  rounds: ROUNDS,
  tensors: TENSORS,
  millisecondsGivenBack: milliseconds('given back'),
  milliseconds: milliseconds(`ours ${TENSORS}`),
  minMilliseconds: (1000 * seconds[`ours ${TENSORS}`].min).toFixed(3),
  jaxMilliseconds: milliseconds(`jax ${TENSORS}`),
  ratio: jax && (seconds[`ours ${TENSORS}`].median / seconds[`jax ${TENSORS}`].median).toFixed(3),
  millisecondsOneTensor: milliseconds('ours 1'),
  jaxMillisecondsOneTensor: milliseconds('jax 1'),
  jax,
};
process.stdout.write(`${JSON.stringify(row)}\n`);
appendResult(here('../results/xla-overhead.csv'), row);
