import { readFileSync } from 'node:fs';

/** Largest resident size of this process so far, bytes (VmHWM on Linux, as the benchmarks measure it). */
export function peakMemoryBytes(): number {
  try {
    const kilobytes = /VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    if (kilobytes !== undefined) return Number(kilobytes) * 1024;
  } catch {
    // Not Linux.
  }
  return process.resourceUsage().maxRSS * 1024;
}
