import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { Environment } from './cache.js';
import type { NvidiaNeeds } from './catalog.js';

/** What the system tells of NVIDIA GPUs without any library of NVIDIA's. */
export interface NvidiaSystem {
  /** Version of the kernel's driver, e.g. `580.65.06`. */
  readonly driver?: string;
  /** GPUs this process may see. */
  readonly devices: number;
  /** Windows' subsystem for Linux: the driver is the one of Windows and tells nothing here. */
  readonly windows: boolean;
  /** `CUDA_VISIBLE_DEVICES`, where it hides some. */
  readonly visible?: string;
}

/** Version in the text of `/proc/driver/nvidia/version`. */
export function driverVersion(text: string): string | undefined {
  return /Kernel Module(?: for \S+)?\s+(\d+(?:\.\d+)+)/.exec(text)?.[1];
}

function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Looks at `/proc` and `/dev`. */
export function nvidiaSystem(root = '/', env: Environment = process.env): NvidiaSystem {
  const driver = driverVersion(readOrNothing(`${root}proc/driver/nvidia/version`));
  let devices = 0;
  try {
    devices = readdirSync(`${root}dev`).filter((name) => /^nvidia\d+$/.test(name)).length;
  } catch {
    // No such folder, no such devices.
  }
  const visible = env['CUDA_VISIBLE_DEVICES'];
  return {
    ...(driver === undefined ? {} : { driver }),
    devices,
    windows: existsSync(`${root}dev/dxg`),
    ...(visible === undefined ? {} : { visible }),
  };
}

/** Something missing, and what to do about it. */
export interface Problem {
  readonly kind: 'no-driver' | 'driver-too-old' | 'no-device' | 'no-runtime';
  readonly says: string;
  /** One sentence without a full stop. */
  readonly fix: string;
}

const IN_CONTAINER = 'in a container, start it with its GPUs (docker run --gpus all)';

/** Why a plugin cannot have a GPU here; undefined where nothing speaks against it. */
export function driverProblem({ cuda, driver: lowest }: NvidiaNeeds, system: NvidiaSystem): Problem | undefined {
  const { driver, devices, windows, visible } = system;
  if (visible === '' || visible === '-1') {
    return {
      kind: 'no-device',
      says: 'CUDA_VISIBLE_DEVICES hides all GPUs',
      fix: 'unset CUDA_VISIBLE_DEVICES, or list GPUs in it',
    };
  }
  if (windows) return undefined;
  if (driver === undefined) {
    return {
      kind: 'no-driver',
      says: 'no NVIDIA driver here',
      fix: `install the NVIDIA driver, ${lowest} or newer; ${IN_CONTAINER}`,
    };
  }
  if (Number.parseInt(driver, 10) < lowest) {
    return {
      kind: 'driver-too-old',
      says: `NVIDIA driver ${driver} is too old for CUDA ${cuda}`,
      fix: `update the driver to ${lowest} or newer${cuda > 12 ? ', or use the plugin for CUDA 12' : ''}`,
    };
  }
  if (devices === 0) {
    return {
      kind: 'no-device',
      says: `NVIDIA driver ${driver}, but no GPU to be seen`,
      fix: `check with nvidia-smi that there is one; ${IN_CONTAINER}`,
    };
  }
  return undefined;
}
