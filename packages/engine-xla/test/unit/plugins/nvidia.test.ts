import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { driverProblem, driverVersion, nvidiaSystem } from '../../../src/plugins/nvidia.js';
import { systemRuntime } from '../../../src/plugins/system-libraries.js';
import { temporary } from '../../support/wheels.js';

const CUDA13 = { libraries: [], cuda: 13, driver: 580 };
const SYSTEM = { driver: '580.65.06', devices: 1, windows: false };

/** A system's `proc` and `dev` with these GPUs. */
async function fakeSystem(version: string, devices: readonly string[]): Promise<string> {
  const root = await temporary();
  await mkdir(join(root, 'proc/driver/nvidia'), { recursive: true });
  await mkdir(join(root, 'dev'));
  if (version !== '') await writeFile(join(root, 'proc/driver/nvidia/version'), version);
  for (const device of devices) await writeFile(join(root, 'dev', device), '');
  return `${root}/`;
}

const PROPRIETARY = `NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 01:44:30 UTC 2024
GCC version:  gcc version 11.4.0 (Ubuntu 11.4.0-1ubuntu1~22.04)
`;
const OPEN = `NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (dvs-builder@U22)  Sun Jul 27 07:09:02 UTC 2025
`;

describe('the driver', () => {
  it('tells its version, the open one too', () => {
    expect(driverVersion(PROPRIETARY)).toBe('550.54.14');
    expect(driverVersion(OPEN)).toBe('580.65.06');
    expect(driverVersion('')).toBeUndefined();
  });

  it('is looked up together with its devices', async () => {
    const root = await fakeSystem(OPEN, ['nvidia0', 'nvidia1', 'nvidiactl', 'nvidia-uvm']);
    expect(nvidiaSystem(root, {})).toEqual({ driver: '580.65.06', devices: 2, windows: false });
    expect(nvidiaSystem(await fakeSystem('', ['dxg']), {})).toEqual({ devices: 0, windows: true });
    expect(nvidiaSystem('/no/such/root/', { CUDA_VISIBLE_DEVICES: '' })).toEqual({
      devices: 0,
      windows: false,
      visible: '',
    });
  });

  it('is a problem when it is missing, too old, or has no device, each with its fix', () => {
    expect(driverProblem(CUDA13, SYSTEM)).toBeUndefined();
    expect(driverProblem(CUDA13, { devices: 0, windows: true })).toBeUndefined();
    expect(driverProblem(CUDA13, { devices: 0, windows: false })).toMatchObject({
      kind: 'no-driver',
      fix: expect.stringContaining('580') as string,
    });
    expect(driverProblem(CUDA13, { ...SYSTEM, driver: '570.211.01' })).toMatchObject({
      kind: 'driver-too-old',
      says: expect.stringContaining('570.211.01') as string,
      fix: expect.stringContaining('CUDA 12') as string,
    });
    expect(driverProblem({ ...CUDA13, cuda: 12, driver: 525 }, { ...SYSTEM, driver: '570.211.01' })).toBeUndefined();
    expect(driverProblem(CUDA13, { ...SYSTEM, devices: 0 })).toMatchObject({ kind: 'no-device' });
    for (const visible of ['', '-1']) {
      const problem = driverProblem(CUDA13, { ...SYSTEM, visible });
      expect(problem).toMatchObject({ kind: 'no-device', fix: expect.stringContaining('CUDA_VISIBLE') as string });
    }
    expect(driverProblem(CUDA13, { ...SYSTEM, visible: '0' })).toBeUndefined();
  });
});

describe("the system's runtime libraries", () => {
  afterEach(() => void vi.unstubAllEnvs());

  it('are found by their names, in order, in the folders of the loader and of CUDA', async () => {
    const [loader, cuda] = [await temporary(), await temporary()];
    await mkdir(join(cuda, 'lib64'));
    await writeFile(join(loader, 'libmade-b.so.1'), '');
    await writeFile(join(cuda, 'lib64/libmade-a.so.1'), '');
    const libraries = ['a', 'b', 'c'].map((name) => `nvidia/x/lib/libmade-${name}.so.1`);
    const needs = { libraries, cuda: 1, driver: 1 };
    expect(systemRuntime(needs, { LD_LIBRARY_PATH: `/no/such:${loader}`, CUDA_HOME: cuda })).toEqual({
      found: [join(cuda, 'lib64/libmade-a.so.1'), join(loader, 'libmade-b.so.1')],
      missing: ['libmade-c.so.1'],
    });
    expect(systemRuntime(needs, {}).found).toEqual([]);
  });

  it.runIf(process.platform === 'linux')('are found where only the loader knows', () => {
    const needs = { libraries: ['x/libc.so.6'], cuda: 1, driver: 1 };
    expect(systemRuntime(needs, {}).found).toEqual([expect.stringMatching(/^\/.*\/libc\.so\.6$/)]);
  });
});
