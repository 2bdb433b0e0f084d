import { SslError } from '@selfsup/core';
import type { NamedValues } from '../pjrt/named-values.js';
import { CPU_WHEELS, CUDA12_WHEELS, CUDA13_WHEELS, totalBytes, type Wheel } from './wheels.js';

/** What NVIDIA's plugins need beside themselves. */
export interface NvidiaNeeds {
  /**
   * Shared libraries the plugin opens by name as it goes, in an order in which each finds those it needs itself. Paths
   * in the wheels; a system has them by their names.
   */
  readonly libraries: readonly string[];
  /** Major version of CUDA. */
  readonly cuda: number;
  /** Lowest major version of the driver (NVIDIA, "CUDA compatibility", minor version compatibility). */
  readonly driver: number;
}

/** A plugin that can be added by name. */
export interface PluginSpec {
  readonly name: string;
  readonly description: string;
  readonly version: string;
  /** The plugin's shared library, in its wheel. */
  readonly library: string;
  /** What the plugin cannot compile without, in the wheels. */
  readonly tools: readonly string[];
  readonly nvidia?: NvidiaNeeds;
  /** Options to try it with. */
  readonly trial: NamedValues;
  readonly wheels: readonly Wheel[];
}

/** Else NVIDIA's plugins take most of the memory of each GPU as they start, which others may be using. */
const MODEST: NamedValues = { preallocate: false };

const LIBDEVICE = 'nvvm/libdevice/libdevice.10.bc';

/**
 * Plugins by name, the preferred first. NVIDIA's find everything by its place beside them, as the wheels lay it out.
 * Of the libraries these builds have functions of, cuFFT is left out: no graph has a Fourier transform.
 */
export const PLUGINS: Readonly<Record<string, PluginSpec>> = {
  cuda13: {
    name: 'cuda13',
    description: 'NVIDIA GPUs, CUDA 13 (driver 580 or newer)',
    version: '0.12.0.1',
    library: 'jax_plugins/xla_cuda13/xla_cuda_plugin.so',
    tools: ['nvidia/cu13/bin/ptxas', 'nvidia/cu13/bin/nvlink', `nvidia/cu13/${LIBDEVICE}`],
    nvidia: {
      libraries: [
        'nvidia/cu13/lib/libcudart.so.13',
        'nvidia/cu13/lib/libnvrtc.so.13',
        'nvidia/cu13/lib/libnvJitLink.so.13',
        'nvidia/cu13/lib/libcublasLt.so.13',
        'nvidia/cu13/lib/libcublas.so.13',
        'nvidia/cu13/lib/libcupti.so.13',
        'nvidia/nccl/lib/libnccl.so.2',
        'nvidia/cudnn/lib/libcudnn.so.9',
      ],
      cuda: 13,
      driver: 580,
    },
    trial: MODEST,
    wheels: CUDA13_WHEELS,
  },
  cuda12: {
    name: 'cuda12',
    description: 'NVIDIA GPUs, CUDA 12 (driver 525 or newer)',
    version: '0.12.0.1',
    library: 'jax_plugins/xla_cuda12/xla_cuda_plugin.so',
    tools: ['nvidia/cuda_nvcc/bin/ptxas', `nvidia/cuda_nvcc/${LIBDEVICE}`],
    nvidia: {
      libraries: [
        'nvidia/cuda_runtime/lib/libcudart.so.12',
        'nvidia/cuda_nvrtc/lib/libnvrtc.so.12',
        'nvidia/nvjitlink/lib/libnvJitLink.so.12',
        'nvidia/cublas/lib/libcublasLt.so.12',
        'nvidia/cublas/lib/libcublas.so.12',
        'nvidia/cuda_cupti/lib/libcupti.so.12',
        'nvidia/nccl/lib/libnccl.so.2',
        'nvidia/cudnn/lib/libcudnn.so.9',
      ],
      cuda: 12,
      driver: 525,
    },
    trial: MODEST,
    wheels: CUDA12_WHEELS,
  },
  cpu: {
    name: 'cpu',
    description: 'processors (x86-64)',
    version: '0.11.2',
    library: 'lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so',
    tools: [],
    trial: { cpu_device_count: 1 },
    wheels: CPU_WHEELS,
  },
};

/** Wheels of compilers that are no runtime libraries: they come with the plugin in any case. */
const COMPILER = /^nvidia-(cuda-nvcc|nvvm)/;

/** Whether a wheel only holds NVIDIA's runtime libraries, which a system with CUDA has. */
export const isRuntime = (wheel: Wheel): boolean =>
  wheel.package.startsWith('nvidia-') && !COMPILER.test(wheel.package);

const ARCHITECTURES: Readonly<Partial<Record<string, string>>> = { x64: 'x86_64', arm64: 'aarch64' };

/** A kind of machine as far as wheels care. */
export interface Machine {
  readonly platform: string;
  readonly architecture: string;
  /** Whether a Linux has the GNU C library. */
  readonly gnu: boolean;
}

function hasGnuLibrary(): boolean {
  if (process.platform !== 'linux') return false;
  // Node's report tells which C library it runs on; looking up network interfaces for it would take long.
  (process.report as { excludeNetwork?: boolean }).excludeNetwork = true;
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return header?.glibcVersionRuntime !== undefined;
}

/** The machine this runs on. */
export const thisMachine = (): Machine => ({
  platform: process.platform,
  architecture: process.arch,
  gnu: hasGnuLibrary(),
});

/** The wheels of a plugin for a machine; none where it is not made for it. */
export function wheelsFor({ wheels }: PluginSpec, { platform, architecture, gnu }: Machine): readonly Wheel[] {
  const name = ARCHITECTURES[architecture];
  if (platform !== 'linux' || !gnu || name === undefined) return [];
  return wheels.filter(({ platforms }) => platforms.every((tag) => tag.endsWith(`_${name}`)));
}

/**
 * {@link wheelsFor}, where there must be some.
 *
 * @throws SslError `ENGINE_MISSING`
 */
export function requireWheels(spec: PluginSpec, machine: Machine): readonly Wheel[] {
  const found = wheelsFor(spec, machine);
  if (found.length > 0) return found;
  const musl = machine.platform === 'linux' && !machine.gnu ? ' without the GNU C library' : '';
  const others = Object.values(PLUGINS).filter((other) => wheelsFor(other, machine).length > 0);
  throw new SslError('ENGINE_MISSING', {
    where: 'engine-xla.addPlugin',
    expected: `a machine that the plugin ${spec.name} is made for (Linux with the GNU C library, ${architecturesOf(spec)})`,
    got: `${machine.platform} ${machine.architecture}${musl}`,
    fix:
      others.length > 0
        ? `add ${others.map(({ name }) => name).join(' or ')}, or use a plugin of your own with --plugin PATH`
        : 'use a plugin of your own with --plugin PATH, or --engine onnxruntime, which needs none',
    details: { plugin: spec.name, ...machine },
  });
}

/** Architectures that a plugin is made for. */
export function architecturesOf({ wheels }: PluginSpec): string {
  const known = Object.entries(ARCHITECTURES).filter(([, name]) =>
    wheels.some(({ platforms }) => platforms.some((tag) => tag.endsWith(`_${name}`))),
  );
  return known.map(([name]) => name).join(' or ');
}

/** Bytes to download of some wheels: of what is needed in any case, and of the runtime libraries. */
export function downloadSize(wheels: readonly Wheel[]): { downloadBytes: number; runtimeBytes: number } {
  const runtimeBytes = totalBytes(wheels.filter(isRuntime));
  return { downloadBytes: totalBytes(wheels) - runtimeBytes, runtimeBytes };
}
