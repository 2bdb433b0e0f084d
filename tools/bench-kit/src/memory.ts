import { readFileSync } from 'node:fs';

/**
 * Most memory a process has held so far (VmHWM), in bytes; undefined where the system does not tell (no /proc) or the
 * process is gone. Its children are not counted: start a program itself, not through npx or a shell.
 */
export function peakMemoryBytes(pid: number | 'self' = 'self'): number | undefined {
  return statusBytes('VmHWM', pid);
}

/** Memory a process holds now (VmRSS), otherwise as {@link peakMemoryBytes}. */
export function residentBytes(pid: number | 'self' = 'self'): number | undefined {
  return statusBytes('VmRSS', pid);
}

function statusBytes(field: string, pid: number | 'self'): number | undefined {
  try {
    const line = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return line === null ? undefined : Number(line[1]) * 1024;
  } catch {
    return undefined;
  }
}
