import type { NamedValues } from './pjrt/named-values.js';
import type { OptionOverride } from './pjrt/compile-options.js';

/** A message of the protocol-buffer text format. */
interface TextMessage {
  readonly [field: string]: number | string | TextMessage;
}

/** A GPU that programs can be compiled for without having it. */
export interface GpuTarget {
  /** E.g. `NVIDIA H100 80GB HBM3`. */
  readonly kind: string;
  /** Bytes of memory. */
  readonly memoryBytes: number;
  /** Bytes a second between the memory and the processors. */
  readonly memoryBandwidth: number;
  /** Floating-point operations a second of dense matrix products, by the type of the factors. */
  readonly peakFlops: { readonly f32: number; readonly bf16: number };
  /** What NVIDIA's plugin wants to know (`GpuTargetConfigProto`). */
  readonly description: TextMessage;
}

/** A literal of an enumeration, written without quotes. */
const ENUM_FIELDS = new Set(['feature_extension']);

function textOf(message: TextMessage): string {
  return Object.entries(message)
    .map(([field, value]) => {
      if (typeof value === 'object') return `${field} { ${textOf(value)} }`;
      return `${field}: ${typeof value === 'string' && !ENUM_FIELDS.has(field) ? JSON.stringify(value) : value}`;
    })
    .join(' ');
}

const H100_MEMORY = 84_942_979_072;
const H100_BANDWIDTH = 3_352_320_000_000;

/**
 * GPUs by name. H100: the SXM5 module with 80 GB, as its driver describes it and with the peak rates of NVIDIA's data
 * sheet (dense, without sparsity; float32 on the ordinary cores, since products keep float32's digits).
 */
export const GPU_TARGETS = {
  h100: {
    kind: 'NVIDIA H100 80GB HBM3',
    memoryBytes: H100_MEMORY,
    memoryBandwidth: H100_BANDWIDTH,
    peakFlops: { f32: 67e12, bf16: 989e12 },
    description: {
      gpu_device_info: {
        threads_per_block_limit: 1024,
        threads_per_warp: 32,
        shared_memory_per_block: 49_152,
        shared_memory_per_core: 233_472,
        threads_per_core_limit: 2048,
        core_count: 132,
        fpus_per_core: 128,
        block_dim_limit_x: 2_147_483_647,
        block_dim_limit_y: 65_535,
        block_dim_limit_z: 65_535,
        memory_bandwidth: H100_BANDWIDTH,
        l2_cache_size: 52_428_800,
        clock_rate_ghz: 1.98,
        device_memory_size: H100_MEMORY,
        shared_memory_per_block_optin: 232_448,
        cuda_compute_capability: { major: 9, feature_extension: 'ACCELERATED_FEATURES' },
        registers_per_core_limit: 65_536,
        registers_per_block_limit: 65_536,
        thread_dim_limit_x: 1024,
        thread_dim_limit_y: 1024,
        thread_dim_limit_z: 64,
        device_vendor: 'NVIDIA Corporation',
        name: 'NVIDIA H100 80GB HBM3',
        driver_version: '13.0.0',
        runtime_version: '12.8.0',
        compile_time_toolkit_version: '12.8.0',
        dnn_version: '9.10.0',
        device_interconnect_info: { active_links: 18 },
        collective_memory_granularity: 2_097_152,
      },
      platform_name: 'CUDA',
      dnn_version_info: { major: 9, minor: 10, patch: 0 },
      device_description_str: 'NVIDIA H100 80GB HBM3',
    },
  },
} as const satisfies Record<string, GpuTarget>;

/** Options under which NVIDIA's plugin describes `devices` GPUs of a kind in one machine. */
export function topologyOptions({ description }: GpuTarget, devices: number): NamedValues {
  return { target_config: textOf(description), topology: `1x1x${devices}` };
}

/**
 * Settings of programs for several GPUs. XLA's scheduler for such programs moves work ahead while the GPUs talk to each
 * other, into memory that it finds free: what is to be computed again for the backward part is then computed early and
 * kept. For one H100 of eight that was 16.0 GB instead of 9.1 (SimDINO, ViT-S/16, 64 images, bfloat16), and the GPUs have
 * little to say: one sum of the gradients.
 */
export function severalGpus(devices: number): Readonly<Record<string, OptionOverride>> {
  return devices > 1 ? { xla_gpu_enable_latency_hiding_scheduler: false } : {};
}

/** Settings that compiling without the GPU needs: what would be chosen by trying it out is chosen by rule instead. */
export const WITHOUT_GPU: Readonly<Record<string, OptionOverride>> = {
  xla_gpu_autotune_level: 0,
  xla_gpu_enable_triton_gemm: false,
};
