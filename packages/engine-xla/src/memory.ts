import { totalmem } from 'node:os';
import { SslError } from '@selfsup/core';
import type { Client, Device } from './pjrt/client.js';
import type { LoadedExecutable } from './pjrt/loaded-executable.js';
import type { ProgramMemory } from './pjrt/program.js';

const gigabytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GB`;

/** Bytes that programs can have on a device, where they are known. */
export function capacityOf(client: Client, device: Device): number | undefined {
  return device.memory()?.limit ?? (client.platform === 'cpu' ? totalmem() : undefined);
}

/** Bytes that a program needs on each device, and of what they are. */
function needOf({ arguments: input, outputs, aliased, temporary, peak = 0 }: ProgramMemory): [number, string] {
  const parts = `state and batch ${gigabytes(input)}, results beside them ${gigabytes(outputs - aliased)}, temporary ${gigabytes(temporary)}`;
  return [Math.max(peak, input + outputs - aliased + temporary), parts];
}

/** Says of an error of running out of memory what was needed and what there is; other errors stay as they are. */
export function explainMemory(problem: unknown, client: Client, device: Device, loaded: LoadedExecutable): unknown {
  if (!SslError.is(problem) || problem.code !== 'OUT_OF_MEMORY') return problem;
  const program = loaded.program();
  try {
    const [need, parts] = needOf(program.memory());
    const capacity = capacityOf(client, device);
    return new SslError('OUT_OF_MEMORY', {
      where: 'engine-xla.run',
      expected: `${gigabytes(need)} of memory on each device (${parts})`,
      got: `${capacity === undefined ? 'less' : gigabytes(capacity)} (${String(problem.details['message'])})`,
      fix: 'use a smaller --batch-size, --accumulate 2 or more, or more --devices',
      details: { ...problem.details, needBytes: need, capacityBytes: capacity },
      cause: problem,
    });
  } catch {
    // The plugin cannot tell what it needs.
    return problem;
  } finally {
    program.dispose();
  }
}
