import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SslError } from '@selfsup/core';
import type { Wheel } from './wheels.js';

/** Where pip's own messages go: a file descriptor (2 is stderr), or nowhere. */
export type PipOutput = number | 'ignore';

export interface DownloadOptions {
  /** Existing folder for the file and for whatever pip writes meanwhile. */
  readonly folder: string;
  readonly output?: PipOutput;
  /** All that has to be got, for people who get it by hand. */
  readonly wanted: readonly Wheel[];
  readonly signal?: AbortSignal | undefined;
}

/** Ways to start pip, which knows the user's package index, proxy and certificates; uv runs one where there is none. */
const PIPS = [['python3', '-m', 'pip'], ['python', '-m', 'pip'], ['pip3'], ['uvx', 'pip']] as const;

interface Ended {
  readonly code: number | null;
  readonly stderr: string;
}

/** Longest end of stderr that is kept. */
const KEPT = 20_000;

function run(command: readonly string[], options: DownloadOptions): Promise<Ended> {
  const { folder, output = 'ignore', signal } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(command[0], command.slice(1), {
      stdio: ['ignore', output, 'pipe'],
      // pip writes a file to a temporary place before it moves it: into the cache, where there has to be room anyway.
      env: { ...process.env, TMPDIR: folder, PIP_REQUIRE_VIRTUALENV: '0' },
      ...(signal === undefined ? {} : { signal }),
    });
    let stderr = '';
    child.stderr?.on('data', (data: Buffer) => (stderr = (stderr + data.toString()).slice(-KEPT)));
    let failure: Error | undefined;
    child.on('error', (cause) => {
      failure = cause;
      // Never started: nothing will close.
      if (child.pid === undefined) reject(cause);
    });
    child.on('close', (code) => (failure === undefined ? resolve({ code, stderr }) : reject(failure)));
  });
}

function notDownloaded(wheel: Wheel, wanted: readonly Wheel[], got: string, fix: string): SslError {
  const files = wanted.map(({ file }) => file).join(', ');
  return new SslError('DOWNLOAD_FAILED', {
    where: 'engine-xla.addPlugin',
    expected: `to get ${wheel.package} ${wheel.version} with pip`,
    got,
    fix: `${fix}, or get ${files} by hand and pass ${wanted.length > 1 ? 'each' : 'it'} with --wheel`,
    details: { failed: wheel.file, wanted: wanted.map(({ file, sha256, bytes }) => ({ file, sha256, bytes })) },
  });
}

/** How to start pip here. */
export type Pip = readonly string[];

/** The first way to start pip that works here; undefined where there is none. */
export async function findPip(options: DownloadOptions): Promise<Pip | undefined> {
  for (const pip of PIPS) {
    try {
      const { code } = await run([...pip, '--version'], { ...options, output: 'ignore' });
      if (code === 0) return pip;
    } catch {
      options.signal?.throwIfAborted();
      // No such command: the next one.
    }
  }
  return undefined;
}

/** What pip said went wrong: its lines marked as errors, the last one first. */
function complaint({ code, stderr }: Ended): string {
  const lines = stderr.split('\n').flatMap((line) => /^ERROR: (.*)/.exec(line.trim())?.[1] ?? []);
  const said = lines.at(-1) ?? stderr.trim().split('\n').at(-1) ?? '';
  return said === '' ? `exit code ${code} of pip` : `pip saying "${said}"`;
}

/** What to do about a pip that failed. */
function failed(wheel: Wheel, ended: Ended, { folder, wanted }: DownloadOptions): SslError {
  if (/No space left|Disk quota exceeded/.test(ended.stderr)) {
    return new SslError('WRITE_FAILED', {
      where: 'engine-xla.addPlugin',
      expected: `room for ${wheel.file} (${wheel.bytes} bytes) in ${folder}`,
      got: 'a full disk',
      fix: 'free some space, or set SELFSUP_CACHE to another folder',
      details: { file: wheel.file, bytes: wheel.bytes, folder },
    });
  }
  const settings = 'the package index that pip uses (pip config list)';
  return /DO NOT MATCH THE HASHES/.test(ended.stderr)
    ? notDownloaded(wheel, wanted, 'a file with another SHA-256', `look at ${settings}`)
    : notDownloaded(wheel, wanted, complaint(ended), `check the network and ${settings}`);
}

const FLAGS = ['--no-deps', '--only-binary=:all:', '--require-hashes'];
/** Which Python runs pip does not matter: a wheel is asked for by its own tags. */
const TAGS = ['--implementation', 'py', '--python-version', '3.12', '--abi', 'none'];
/** Files go where we keep them ourselves; nobody answers questions. */
const MANNERS = ['--no-cache-dir', '--no-input', '--disable-pip-version-check'];

/**
 * Downloads a wheel with pip, which takes it from wherever the user's settings say and checks its hash.
 *
 * @param pip - From {@link findPip}.
 * @returns path of the file
 * @throws SslError `DOWNLOAD_FAILED`, `WRITE_FAILED`; what the signal aborts with
 */
export async function downloadWheel(pip: Pip | undefined, wheel: Wheel, options: DownloadOptions): Promise<string> {
  const { folder, signal, wanted } = options;
  if (pip === undefined) {
    const install = 'install pip, e.g. the package python3-pip';
    throw notDownloaded(wheel, wanted, 'no pip (neither python3 -m pip nor uv)', install);
  }
  const requirements = join(folder, 'requirements.txt');
  await writeFile(requirements, `${wheel.package}==${wheel.version} --hash=sha256:${wheel.sha256}\n`);
  const platforms = wheel.platforms.flatMap((platform) => ['--platform', platform]);
  const flags = [...FLAGS, ...TAGS, ...MANNERS, ...platforms, '--dest', folder, '--requirement', requirements];
  const ended = await run([...pip, 'download', ...flags], options);
  signal?.throwIfAborted();
  if (ended.code !== 0) throw failed(wheel, ended, options);
  return join(folder, wheel.file);
}
