import { chmod, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { inProcess, jsonOf } from './in-process.js';
import { temporary } from './support.js';

interface Finding {
  readonly name: string;
  readonly status: 'ok' | 'warning' | 'failed';
  readonly says: string;
  readonly fix?: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

/** A folder nobody can write to, the superuser included where there is such a thing. */
async function closedFolder(): Promise<string> {
  if (process.platform === 'linux') return '/proc';
  const path = join(await temporary(), 'closed');
  await mkdir(path);
  await chmod(path, 0o555);
  return path;
}

describe('doctor', () => {
  // Plugins of whoever runs the tests are no part of it.
  beforeEach(async () => void vi.stubEnv('SELFSUP_CACHE', await temporary()));
  afterEach(() => void vi.unstubAllEnvs());

  it('looks at everything, and names a fix for whatever is not well', async () => {
    const folder = await temporary();
    const ended = await inProcess(['doctor', '--out', join(folder, 'runs'), '--seconds', '0.05', '--json']);
    const { ok, checks } = jsonOf(ended) as unknown as { ok: boolean; checks: Finding[] };
    expect(checks.map(({ name }) => name)).toEqual(
      'node,memory,cores,libraries,onnxruntime,tfjs wasm,xla,sharp,run folder'.split(','),
    );
    for (const { name, status, fix } of checks) {
      if (status !== 'ok') expect(fix, name).toMatch(/\w/);
    }
    expect(ended.code).toBe(ok ? 0 : 1);
    expect(ok).toBe(checks.every(({ status }) => status !== 'failed'));
    for (const name of ['onnxruntime', 'tfjs wasm']) {
      const engine = checks.find((check) => check.name === name);
      expect(engine?.facts['gigaflops'], engine?.says).toBeGreaterThan(0);
      expect(engine?.facts['devices']).not.toEqual([]);
    }
    expect(await readdir(folder)).toEqual([]);
  });

  it('ends with 1 and the fix where runs cannot be written', async () => {
    const ended = await inProcess(['doctor', '--out', await closedFolder(), '--seconds', '0.05', '--json']);
    expect(ended.code).toBe(1);
    const { ok, error, checks } = jsonOf(ended) as unknown as { ok: boolean; error: object; checks: Finding[] };
    expect(ok).toBe(false);
    expect(error).toMatchObject({ code: 'DOCTOR', details: { broken: ['run folder'] } });
    expect(checks.at(-1)).toMatchObject({ name: 'run folder', status: 'failed' });
    expect(checks.at(-1)?.fix).toContain('--out');
  });

  it('writes text for people without --json', async () => {
    const ended = await inProcess(['doctor', '--out', await temporary(), '--seconds', '0.05']);
    expect(ended.code).toBe(0);
    expect(ended.stdout).toMatch(/^ok {4}node/);
    expect(ended.stdout).toMatch(/GFLOP\/s/);
    expect(ended.stdout).not.toContain('\u001b');
  });
});
