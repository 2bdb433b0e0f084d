import type { Field } from './layout.js';

const P: Field = { kind: 'pointer' };
const N: Field = { kind: 'size' };
const L: Field = { kind: 'i64' };
const I: Field = { kind: 'i32' };
const B: Field = { kind: 'bool' };

const since = (minor: number, field: Field): Field => ({ ...field, since: minor });

/**
 * The functions used of the PJRT C API (`xla/pjrt/c/pjrt_c_api.h`): their places in the table of functions and the
 * fields of their argument structs, in order. The table of functions grows at its end only, so places hold for every
 * later version of the same major one; structs grow at their ends too, `since` says with which minor version.
 */
export const FUNCTIONS = {
  Error_Destroy: { slot: 0, fields: { error: P } },
  Error_Message: { slot: 1, fields: { error: P, message: P, message_size: N } },
  Error_GetCode: { slot: 2, fields: { error: P, code: I } },
  Plugin_Initialize: { slot: 3, fields: {} },
  Plugin_Attributes: { slot: 4, fields: { attributes: P, num_attributes: N } },
  Event_Destroy: { slot: 5, fields: { event: P } },
  Event_IsReady: { slot: 6, fields: { event: P, is_ready: B } },
  Event_Error: { slot: 7, fields: { event: P } },
  Event_Await: { slot: 8, fields: { event: P } },
  Client_Create: {
    slot: 10,
    fields: {
      create_options: P,
      num_options: N,
      kv_get_callback: P,
      kv_get_user_arg: P,
      kv_put_callback: P,
      kv_put_user_arg: P,
      client: P,
      kv_try_get_callback: since(61, P),
      kv_try_get_user_arg: since(61, P),
    },
  },
  Client_Destroy: { slot: 11, fields: { client: P } },
  Client_PlatformName: { slot: 12, fields: { client: P, platform_name: P, platform_name_size: N } },
  Client_PlatformVersion: { slot: 14, fields: { client: P, platform_version: P, platform_version_size: N } },
  Client_AddressableDevices: {
    slot: 16,
    fields: { client: P, addressable_devices: P, num_addressable_devices: N },
  },
  Client_Compile: {
    slot: 20,
    fields: { client: P, program: P, compile_options: P, compile_options_size: N, executable: P },
  },
  Client_BufferFromHostBuffer: {
    slot: 22,
    fields: {
      client: P,
      data: P,
      type: I,
      dims: P,
      num_dims: N,
      byte_strides: P,
      num_byte_strides: N,
      host_buffer_semantics: I,
      device: P,
      memory: P,
      device_layout: P,
      done_with_host_buffer: P,
      buffer: P,
    },
  },
  DeviceDescription_Kind: { slot: 26, fields: { device_description: P, device_kind: P, device_kind_size: N } },
  Device_GetDescription: { slot: 29, fields: { device: P, device_description: P } },
  Device_MemoryStats: {
    slot: 34,
    fields: {
      device: P,
      bytes_in_use: L,
      peak_bytes_in_use: L,
      peak_bytes_in_use_is_set: B,
      num_allocs: L,
      num_allocs_is_set: B,
      largest_alloc_size: L,
      largest_alloc_size_is_set: B,
      bytes_limit: L,
      bytes_limit_is_set: B,
      bytes_reserved: L,
      bytes_reserved_is_set: B,
      peak_bytes_reserved: L,
      peak_bytes_reserved_is_set: B,
      bytes_reservable_limit: L,
      bytes_reservable_limit_is_set: B,
      largest_free_block_bytes: L,
      largest_free_block_bytes_is_set: B,
      pool_bytes: L,
      pool_bytes_is_set: B,
      peak_pool_bytes: L,
      peak_pool_bytes_is_set: B,
    },
  },
  Executable_Destroy: { slot: 40, fields: { executable: P } },
  Executable_GetCostAnalysis: { slot: 46, fields: { executable: P, num_properties: N, properties: P } },
  Executable_Serialize: {
    slot: 49,
    fields: {
      executable: P,
      serialized_bytes: P,
      serialized_bytes_size: N,
      serialized_executable: P,
      serialized_executable_deleter: P,
    },
  },
  LoadedExecutable_Destroy: { slot: 50, fields: { executable: P } },
  LoadedExecutable_GetExecutable: { slot: 51, fields: { loaded_executable: P, executable: P } },
  LoadedExecutable_Execute: {
    slot: 55,
    fields: {
      executable: P,
      options: P,
      argument_lists: P,
      num_devices: N,
      num_args: N,
      output_lists: P,
      device_complete_events: P,
      execute_device: P,
    },
  },
  Executable_DeserializeAndLoad: {
    slot: 56,
    fields: {
      client: P,
      serialized_executable: P,
      serialized_executable_size: N,
      loaded_executable: P,
      overridden_serialized_compile_options: since(71, P),
      overridden_serialized_compile_options_size: since(71, N),
    },
  },
  Buffer_Destroy: { slot: 58, fields: { buffer: P } },
  Buffer_IsDeleted: { slot: 68, fields: { buffer: P, is_deleted: B } },
  Buffer_ToHostBuffer: { slot: 70, fields: { src: P, host_layout: P, dst: P, dst_size: N, event: P } },
  TopologyDescription_Create: {
    slot: 82,
    fields: { topology_name: P, topology_name_size: N, create_options: P, num_options: N, topology: P },
  },
  TopologyDescription_Destroy: { slot: 83, fields: { topology: P } },
  Compile: {
    slot: 89,
    fields: { topology: P, program: P, compile_options: P, compile_options_size: N, client: P, executable: P },
  },
  Executable_GetCompiledMemoryStats: {
    slot: 96,
    fields: {
      executable: P,
      generated_code_size_in_bytes: L,
      argument_size_in_bytes: L,
      output_size_in_bytes: L,
      alias_size_in_bytes: L,
      temp_size_in_bytes: L,
      host_generated_code_size_in_bytes: L,
      host_argument_size_in_bytes: L,
      host_output_size_in_bytes: L,
      host_alias_size_in_bytes: L,
      host_temp_size_in_bytes: L,
      peak_memory_in_bytes: since(72, L),
      total_size_in_bytes: since(90, L),
    },
  },
} as const satisfies Record<string, { readonly slot: number; readonly fields: Readonly<Record<string, Field>> }>;

export type FunctionName = keyof typeof FUNCTIONS;

/** Structs that arguments point to. */
export const STRUCTS = {
  Program: { code: P, code_size: N, format: P, format_size: N },
  /** A name with a value of 8 bytes: a pointer to text or numbers, or the number itself. */
  NamedValue: { name: P, name_size: N, type: I, value: L, value_size: N },
  /** How numbers lie in memory: a union of which the tiled layout is used, a struct with a header of its own. */
  MemoryLayout: {
    tiled_struct_size: N,
    tiled_extension_start: P,
    minor_to_major: P,
    minor_to_major_size: N,
    tile_dims: P,
    tile_dim_sizes: P,
    num_tiles: N,
    type: I,
  },
  ExecuteOptions: {
    send_callbacks: P,
    recv_callbacks: P,
    num_send_ops: N,
    num_recv_ops: N,
    launch_id: I,
    non_donatable_input_indices: P,
    num_non_donatable_input_indices: N,
    context: since(64, P),
    call_location: since(76, P),
    num_tasks: since(78, N),
    task_ids: since(78, P),
    incarnation_ids: since(78, P),
  },
} as const satisfies Record<string, Readonly<Record<string, Field>>>;

/** Major version of the API that this table describes. */
export const API_MAJOR = 0;

/** Oldest minor version whose table of functions has this order. */
export const OLDEST_MINOR = 57;

/** Bytes of the tiled layout in a `MemoryLayout`: seven fields of 8. */
export const TILED_BYTES = 56;

/** Kinds of element, as the API numbers them. */
export const ELEMENT_TYPE = { bool: 1, i32: 4, u8: 6, f32: 11 } as const;

/** Codes of errors, in order from 0. */
export const ERROR_CODES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];
