// Processes that stand ready to take training steps.
import { fileURLToPath } from 'node:url';
import { runCommand, startWorker, type BenchWorker, type Round } from '@selfsup/bench-kit';
import type { TorchVariant } from './pytorch.js';
import { ENGINES, type EngineSetting, type Setting } from './setting.js';

export const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export const python = process.env['PYTHON'] ?? 'python3';
const THREADS = ['--threads', '2'];

/** Everything our side imports, and nothing done with it. */
const IDLE = 'await import("selfsup"); await import("@selfsup/compile/node");';
const IDLE_ENGINE = {
  onnxruntime: 'await import("@selfsup/engine-onnxruntime");',
  // Importing torch loads its libraries; XLA's is loaded when an engine starts.
  xla: 'const { chooseEngine } = await import("selfsup"); await (await chooseEngine({ engine: "xla" })).dispose();',
} as const;

/** Rates of matrix products, GFLOP/s. */
export interface ProductRates {
  /** 2048 x 2048 x 2048. */
  readonly square: number;
  /** 3152 x 192 x 768 and back, as in the MLP of a ViT-Ti with 16 crops of 224 pixels. */
  readonly vit: number;
}

/** One side of a comparison of steps. */
export interface Side {
  readonly worker: BenchWorker;
  /** Size of what it trains, known after a step. */
  parameters: number;
  readonly step: Round;
}

function side(worker: BenchWorker): Side {
  const started: Side = {
    worker,
    parameters: 0,
    step: async () => {
      const { seconds, parameters } = (await worker.ask('step')) as { seconds: number; parameters: number };
      started.parameters = parameters;
      return seconds;
    },
  };
  return started;
}

export function startOurs(setting: Setting): Side {
  return side(startWorker({ program: process.execPath, args: [here('./step-worker.js'), JSON.stringify(setting)] }));
}

export function startTorch({ recipe, arch, batchSize, localCrops }: Setting, { flags, env }: TorchVariant): Side {
  const sizes = ['--batch-size', `${batchSize}`, '--local-crops', `${localCrops}`];
  const args = [here('../peers/step.py'), '--stream', '--recipe', recipe, '--arch', arch, ...sizes, ...THREADS];
  return side(startWorker({ program: python, args: [...args, ...flags], env }));
}

/** Peak memory of processes that imported everything and did nothing, bytes. */
export async function idleBytes(engine: EngineSetting = 'onnxruntime'): Promise<{ ours: number; torch: number }> {
  const peakOf = async (program: string, args: string[]): Promise<number> =>
    (await runCommand({ program, args, cwd: here('..') })).peakMemoryBytes ?? 0;
  return {
    ours: await peakOf(process.execPath, ['--input-type=module', '-e', IDLE + IDLE_ENGINE[ENGINES[engine].engine]]),
    torch: await peakOf(python, [here('../peers/step.py'), '--idle']),
  };
}

async function rates(program: string, args: string[], env?: TorchVariant['env']): Promise<ProductRates> {
  const { code, stdout, stderr } = await runCommand({ program, args, env });
  if (code !== 0) throw new Error(`benchmarks: ${program} ${args.join(' ')} ended with code ${code}\n${stderr}`);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as ProductRates;
}

/** How fast this machine multiplies matrices on an engine, two threads. */
export const ourProducts = (engine: EngineSetting): Promise<ProductRates> =>
  rates(process.execPath, [here('./product-worker.js'), engine]);

/** The same in PyTorch. */
export const torchProducts = ({ flags, env }: TorchVariant): Promise<ProductRates> =>
  rates(python, [here('../peers/products.py'), ...THREADS, ...flags], env);
