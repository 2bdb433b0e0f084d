import { SslError } from '@selfsup/core';
import { OnnxModel } from '../emit/model.js';
import { OrtApi } from './c-api.js';
import { allocateTensor } from './memory.js';
import { NativeRuntime, type Runtime } from './session.js';

/** Which of onnxruntime's interfaces to use. `auto`: C if it works, else JavaScript. */
export type ApiChoice = 'auto' | 'c' | 'js';

/** The chosen runtime, and why it is not the C API where `auto` could not have it. */
export interface ChosenRuntime {
  readonly runtime: Runtime;
  readonly fallbackReason?: string;
}

/** Adds two numbers: shows that the functions are where we think they are and that memory is bound in place. */
async function selfTest(runtime: Runtime): Promise<void> {
  const model = new OnnxModel('self-test');
  model.op('Add', ['a', 'b'], {}, 'c');
  const port = (name: string): { name: string; dtype: 'f32'; shape: number[] } => ({ name, dtype: 'f32', shape: [2] });
  const bytes = model.encode([port('a'), port('b')], [port('c')]);
  const [a, b, c] = ['a', 'b', 'c'].map((name) => ({ name, ...allocateTensor('f32', [2], runtime.addressOf) }));
  a.data.set([1, 2]);
  b.data.set([3, 5]);
  const session = await runtime.createSession(bytes, [a, b], [c], { threads: 1, optimization: 'basic', config: {} });
  await session.run();
  await session.dispose();
  if (c.data[0] !== 4 || c.data[1] !== 7) throw new Error(`the self-test gave ${c.data.join(' and ')} for 4 and 7`);
}

async function native(): Promise<Runtime> {
  const runtime = new NativeRuntime(await OrtApi.load());
  await selfTest(runtime);
  return runtime;
}

async function script(): Promise<Runtime> {
  const { ScriptRuntime, scriptVersion } = await import('./js-api.js');
  const runtime = new ScriptRuntime(scriptVersion());
  await selfTest(runtime);
  return runtime;
}

/** @throws SslError `ENGINE_MISSING` when what was asked for does not work */
export async function chooseRuntime(choice: ApiChoice): Promise<ChosenRuntime> {
  let fallbackReason: string | undefined;
  if (choice !== 'js') {
    try {
      return { runtime: await native() };
    } catch (problem) {
      fallbackReason = problem instanceof Error ? problem.message : String(problem);
      if (choice === 'c') throw missing('the C API of onnxruntime', fallbackReason, problem);
    }
  }
  try {
    const runtime = await script();
    return fallbackReason === undefined ? { runtime } : { runtime, fallbackReason };
  } catch (problem) {
    throw missing('onnxruntime-node', problem instanceof Error ? problem.message : String(problem), problem);
  }
}

function missing(what: string, got: string, cause: unknown): SslError {
  return new SslError('ENGINE_MISSING', {
    where: 'engine-onnxruntime.onnxruntimeEngine',
    expected: `${what} on ${process.platform} ${process.arch}`,
    got: got.replace(/\.+\s*$/, ''),
    fix: 'install onnxruntime-node 1.30 for this platform again, or use another engine (tfjs runs everywhere)',
    details: { platform: process.platform, architecture: process.arch },
    cause,
  });
}
