import { readFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, freemem, platform, release, totalmem } from 'node:os';
import { gigabytes, type Check } from './check.js';

/** Lowest major version of Node that selfsup runs on. */
export const LOWEST_NODE = 20;

/** Below this a training step of a small network may not fit. */
const LITTLE_MEMORY = 2 * 2 ** 30;
/** Below this not even the smallest does. */
const TOO_LITTLE_MEMORY = 400 * 2 ** 20;

/** Node as it should be. @param version - E.g. `v20.1.0` */
export function checkNode(version = process.version): Check {
  const major = Number(/^v?(\d+)/.exec(version)?.[1]);
  const facts = { version, platform: platform(), arch: arch(), release: release() };
  const says = `${version} on ${facts.platform} ${facts.arch}`;
  if (major >= LOWEST_NODE) return { name: 'node', status: 'ok', says, facts };
  return { name: 'node', status: 'failed', says, fix: `install Node ${LOWEST_NODE} or newer from nodejs.org`, facts };
}

/** Memory that a new process can have: Linux counts caches that it would give up. */
function availableMemory(): number {
  let available = freemem();
  try {
    const kilobytes = /MemAvailable:\s+(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
    if (kilobytes !== undefined) available = Number(kilobytes) * 1024;
  } catch {
    // Not Linux.
  }
  const limit = process.constrainedMemory();
  return limit !== undefined && limit > 0 && limit < totalmem() ? Math.min(available, limit) : available;
}

export function checkMemory(available = availableMemory(), total = totalmem()): Check {
  const facts = { availableBytes: available, totalBytes: total };
  const says = `${gigabytes(available)} of ${gigabytes(total)} available`;
  if (available >= LITTLE_MEMORY) return { name: 'memory', status: 'ok', says, facts };
  const fix = 'close other programs, or train with a smaller --batch-size or --arch';
  return { name: 'memory', status: available < TOO_LITTLE_MEMORY ? 'failed' : 'warning', says, fix, facts };
}

export function checkCores(cores = availableParallelism()): Check {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  const facts = { cores, model };
  const says = `${cores} of ${model}`;
  if (cores > 1) return { name: 'cores', status: 'ok', says, facts };
  const fix = 'give this process more cores; decoding and training share the one it has';
  return { name: 'cores', status: 'warning', says, fix, facts };
}

/** The machine in a few words, for reports. */
export function machineFacts(): { node: string; platform: string; processor: string; cores: number; memory: string } {
  return {
    node: process.version,
    platform: `${platform()} ${arch()}`,
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memory: gigabytes(totalmem()),
  };
}
