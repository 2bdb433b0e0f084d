// Whole training steps against eager PyTorch, rounds interleaved, both with two threads.
//   npm run bench -- vit_tiny vit_small          (PYTHON=path/to/python with torch)
import { fileURLToPath } from 'node:url';
import { appendResult, interleave, runCommand, startWorker } from '@selfsup/bench-kit';

const RECIPE = 'simdino';
const BATCH = 8;
const LOCAL_CROPS = 8;
const ROUNDS = Number(process.env['ROUNDS'] ?? 10);
const python = process.env['PYTHON'] ?? 'python3';
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const peer = here('../peers/simdino_step.py');
const idleNode =
  'await import("selfsup"); await import("@selfsup/engine-onnxruntime"); await import("@selfsup/compile/node");';

/** Memory of a process that has imported everything and done nothing. */
async function idleBytes(program: string, args: string[]): Promise<number> {
  return (await runCommand({ program, args, cwd: here('..') })).peakMemoryBytes ?? 0;
}

const archs = process.argv.slice(2).filter((name) => name.startsWith('vit_'));
for (const arch of archs.length > 0 ? archs : ['vit_tiny', 'vit_small']) {
  const ours = startWorker({
    program: process.execPath,
    args: [here('./step-worker.js'), RECIPE, arch, `${BATCH}`, `${LOCAL_CROPS}`],
  });
  const torch = startWorker({
    program: python,
    args: [
      peer,
      '--arch',
      arch,
      '--batch-size',
      `${BATCH}`,
      '--local-crops',
      `${LOCAL_CROPS}`,
      '--threads',
      '2',
      '--stream',
    ],
  });
  const step = (worker: typeof ours) => async (): Promise<number> =>
    ((await worker.ask('step')) as { seconds: number }).seconds;
  const seconds = await interleave({ ours: step(ours), torch: step(torch) }, ROUNDS, 2);
  const peak = { ours: ours.peakMemoryBytes() ?? 0, torch: torch.peakMemoryBytes() ?? 0 };
  await Promise.all([ours.stop(), torch.stop()]);
  const idle = {
    ours: await idleBytes(process.execPath, ['--input-type=module', '-e', idleNode]),
    torch: await idleBytes(python, [peer, '--idle']),
  };
  const memory = { ours: peak.ours - idle.ours, torch: peak.torch - idle.torch };
  const row = {
    what: `${RECIPE} step, 2 x 224 + ${LOCAL_CROPS} x 96, batch ${BATCH}`,
    arch,
    rounds: ROUNDS,
    oursSeconds: seconds.ours.median.toFixed(3),
    torchSeconds: seconds.torch.median.toFixed(3),
    timeRatio: (seconds.ours.median / seconds.torch.median).toFixed(3),
    oursMinSeconds: seconds.ours.min.toFixed(3),
    torchMinSeconds: seconds.torch.min.toFixed(3),
    oursPeakMB: (memory.ours / 2 ** 20).toFixed(0),
    torchPeakMB: (memory.torch / 2 ** 20).toFixed(0),
    memoryRatio: (memory.ours / memory.torch).toFixed(3),
    torch: 'eager, as installed by pip, 2 threads, SDPA, foreach AdamW and EMA',
  };
  process.stdout.write(`${JSON.stringify(row)}\n`);
  appendResult(here('../results/step.csv'), row);
}
