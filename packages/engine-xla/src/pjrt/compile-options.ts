/** A value of one of XLA's debug options. */
export type OptionOverride = string | number | boolean;

/** How a program is compiled. */
export interface CompileSettings {
  /** Devices that the program is partitioned over. */
  readonly devices: number;
  /** XLA's debug options by name, e.g. `xla_cpu_prefer_vector_width`; a bad name is an error of the plugin. */
  readonly overrides?: Readonly<Record<string, OptionOverride>>;
}

/** Numbers of fields in `CompileOptionsProto`, `ExecutableBuildOptionsProto` and `OptionOverrideProto`. */
const FIELD = {
  options: { build: 3, overrides: 7 },
  build: { replicas: 4, partitions: 5, spmd: 6, shardy: 19 },
  entry: { key: 1, value: 2 },
  override: { text: 1, flag: 2, integer: 3, real: 4 },
} as const;

/** How a field's value is written. */
const WIRE = { varint: 0, fixed64: 1, bytes: 2 } as const;

function varint(value: number | bigint): number[] {
  const out: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 0x7fn; rest >>= 7n) out.push(Number(rest & 0x7fn) | 0x80);
  out.push(Number(rest));
  return out;
}

const number = (field: number, value: number): number[] => [...varint((field << 3) | WIRE.varint), ...varint(value)];

const bytes = (field: number, content: readonly number[]): number[] => [
  ...varint((field << 3) | WIRE.bytes),
  ...varint(content.length),
  ...content,
];

const text = (field: number, content: string): number[] => bytes(field, [...Buffer.from(content)]);

function override(value: OptionOverride): number[] {
  const { override: field } = FIELD;
  if (typeof value === 'string') return text(field.text, value);
  if (typeof value === 'boolean') return number(field.flag, Number(value));
  if (Number.isInteger(value)) return number(field.integer, value);
  const real = new Uint8Array(Float64Array.of(value).buffer);
  return [...varint((field.real << 3) | WIRE.fixed64), ...real];
}

/** The serialised `CompileOptionsProto`: one replica, `devices` partitions placed by Shardy. */
export function encodeCompileOptions({ devices, overrides = {} }: CompileSettings): Uint8Array {
  const { options, build, entry } = FIELD;
  const several = devices > 1 ? [...number(build.spmd, 1), ...number(build.shardy, 1)] : [];
  return Uint8Array.from([
    ...bytes(options.build, [...number(build.replicas, 1), ...number(build.partitions, devices), ...several]),
    ...Object.entries(overrides)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([name, value]) =>
        bytes(options.overrides, [...text(entry.key, name), ...bytes(entry.value, override(value))]),
      ),
  ]);
}
