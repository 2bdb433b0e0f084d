import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { SslError } from '@selfsup/core';
import { errorCode, temporaryName } from './files.js';

/** Who writes to a run directory; content of its `lock` file. */
interface LockOwner {
  readonly pid: number;
  readonly host: string;
  readonly since: string;
  /** Tells a process from a later one of the same number, where the system says (Linux). */
  readonly processStart?: string;
  readonly id: string;
}

/** A lock without readable content this old was left by a process that died while writing it. */
const BLANK_LOCK_MILLISECONDS = 5_000;

/** Boot and start time of a process; undefined where the system does not say, `gone` for one that only waits to be reaped. */
function processStart(pid: number): string | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const line = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is a name in brackets that may hold spaces; state and start time are fields 3 and 22.
    const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? 'gone' : `${boot}:${fields[19]}`;
  } catch {
    return undefined;
  }
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return errorCode(cause) === 'EPERM';
  }
}

/** Whether the owner may still be at work; of one on another machine nothing is known, so it counts as being so. */
function mayBeAlive(owner: LockOwner): boolean {
  if (owner.host !== hostname()) return true;
  if (!exists(owner.pid)) return false;
  const start = processStart(owner.pid);
  return owner.processStart === undefined || start === undefined || start === owner.processStart;
}

function parseOwner(text: string): LockOwner | undefined {
  try {
    const owner = JSON.parse(text) as Partial<LockOwner> | null;
    const whole = typeof owner?.pid === 'number' && typeof owner.host === 'string' && typeof owner.id === 'string';
    return whole ? (owner as LockOwner) : undefined;
  } catch {
    return undefined;
  }
}

/** Of a file; 0 for one that is gone. */
const millisecondsOld = (path: string): Promise<number> =>
  stat(path).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => 0,
  );

const isAlive = (owner: LockOwner | undefined, age: number): boolean =>
  owner === undefined ? age < BLANK_LOCK_MILLISECONDS : mayBeAlive(owner);

/** Whether somebody writes to a run directory; a process on another machine is taken to be there still. */
export async function isRunHeld(directory: string): Promise<boolean> {
  const path = join(directory, 'lock');
  const text = await readFile(path, 'utf8').catch(() => undefined);
  return text !== undefined && isAlive(parseOwner(text), await millisecondsOld(path));
}

function locked(directory: string, path: string, owner: LockOwner | undefined): SslError {
  const who = owner === undefined ? 'another process' : `process ${owner.pid} on ${owner.host} since ${owner.since}`;
  return new SslError('RUN_DIRECTORY', {
    where: 'checkpoint.openRun',
    expected: `a run directory that nobody writes to`,
    got: `${directory}, in use by ${who}`,
    fix: `wait for it or choose another folder; if that process is gone, delete ${path}`,
    details: { directory, ...(owner === undefined ? {} : { pid: owner.pid, host: owner.host }) },
  });
}

/**
 * Makes the lock file with its content in one go, so that a process killed meanwhile leaves none without content.
 *
 * @returns false where there is one already
 */
async function create(path: string, text: string): Promise<boolean> {
  const draft = temporaryName(path);
  try {
    await writeFile(draft, text);
    await link(draft, path);
    return true;
  } catch (cause) {
    const reason = errorCode(cause);
    // Whoever has the lock may clear drafts away.
    if (reason === 'EEXIST' || reason === 'ENOENT') return false;
    // Some file systems know no links.
    if (reason === 'EPERM' || reason === 'ENOTSUP' || reason === 'ENOSYS') return createDirectly(path, text);
    throw cause;
  } finally {
    await rm(draft, { force: true });
  }
}

async function createDirectly(path: string, text: string): Promise<boolean> {
  try {
    await writeFile(path, text, { flag: 'wx' });
    return true;
  } catch (cause) {
    if (errorCode(cause) === 'EEXIST') return false;
    throw cause;
  }
}

/** A held lock. */
export interface Lock {
  /** What was found when it was taken, for the user; empty when there is nothing to say. */
  readonly notes: readonly string[];
  /** Gives it back; does nothing if somebody else has it by now. */
  release(): Promise<void>;
}

/**
 * Moves a stale lock out of the way. Only the process that moves exactly the lock it has judged may go on; one that was
 * put there by a faster process in between is put back.
 */
async function removeStale(path: string, text: string): Promise<boolean> {
  const aside = temporaryName(path);
  try {
    await rename(path, aside);
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') return true;
    throw cause;
  }
  if ((await readFile(aside, 'utf8')) === text) {
    await rm(aside, { force: true });
    return true;
  }
  await rename(aside, path);
  return false;
}

/**
 * Takes the lock of a run directory. One whose process is dead is taken over.
 *
 * @throws SslError `RUN_DIRECTORY` where a living process has it
 */
export async function takeLock(directory: string): Promise<Lock> {
  const path = join(directory, 'lock');
  const start = processStart(process.pid);
  const mine: LockOwner = {
    pid: process.pid,
    host: hostname(),
    since: new Date().toISOString(),
    ...(start === undefined ? {} : { processStart: start }),
    id: randomUUID(),
  };
  const notes: string[] = [];
  for (let attempt = 0; attempt < 3; attempt++) {
    if (await create(path, `${JSON.stringify(mine)}\n`)) {
      return {
        notes,
        release: async () => {
          const text = await readFile(path, 'utf8').catch(() => '');
          if (parseOwner(text)?.id === mine.id) await rm(path, { force: true });
        },
      };
    }
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text === undefined) continue;
    const owner = parseOwner(text);
    const age = await millisecondsOld(path);
    if (isAlive(owner, age) || !(await removeStale(path, text))) throw locked(directory, path, owner);
    notes.push(
      `took over the lock of ${owner === undefined ? 'a process that died' : `process ${owner.pid}, which is gone`}`,
    );
  }
  throw locked(directory, path, undefined);
}
