/** A field of a C struct: its kind and, where it came later than the struct, the API's minor version that added it. */
export interface Field {
  readonly kind: 'pointer' | 'size' | 'i64' | 'i32' | 'bool';
  readonly since?: number;
}

/** Bytes of a field; each is aligned to its own size. */
const BYTES = { pointer: 8, size: 8, i64: 8, i32: 4, bool: 1 } as const satisfies Record<Field['kind'], number>;

export type Fields = Readonly<Record<string, Field>>;

/** Where the fields of a struct are, as a plugin of some version knows it. */
export interface Layout {
  /** What `struct_size` says: up to the end of the last field. */
  readonly size: number;
  readonly offsets: ReadonlyMap<string, number>;
}

/** Every struct begins with its own size and a pointer to extensions. */
const HEADER = 16;

/**
 * Lays out the fields that API version 0.`minor` knows, in order, after the header. A plugin is never sent a field that
 * it does not know, and accepts that fields it got later are missing.
 */
export function layOut(fields: Fields, minor: number): Layout {
  const offsets = new Map<string, number>();
  let end = HEADER;
  for (const [name, { kind, since = 0 }] of Object.entries(fields)) {
    if (since > minor) continue;
    const bytes = BYTES[kind];
    const offset = Math.ceil(end / bytes) * bytes;
    offsets.set(name, offset);
    end = offset + bytes;
  }
  return { size: end, offsets };
}

/** An address in native memory. */
export type Pointer = bigint;

/** Memory for native code, and what must be kept with it because it points there. */
export interface NativeMemory {
  readonly bytes: ArrayBufferView;
  readonly held: readonly unknown[];
}

/** What a field can be set to; memory becomes a pointer. */
export type FieldValue = bigint | number | boolean | ArrayBufferView | NativeMemory;

/** A C struct in memory that native code can read and write. It keeps the memory that its fields were pointed to. */
export class Struct<F extends Fields> implements NativeMemory {
  readonly bytes: Uint8Array;
  readonly held: unknown[] = [];
  readonly #addressOf: (memory: ArrayBufferView) => Pointer;
  readonly #fields: F;
  readonly #layout: Layout;
  readonly #view: DataView;

  /** A struct of zeros with its size, or one that native code has written. */
  constructor(fields: F, minor: number, addressOf: (memory: ArrayBufferView) => Pointer, written?: Uint8Array) {
    this.#addressOf = addressOf;
    this.#fields = fields;
    this.#layout = layOut(fields, minor);
    this.bytes = written ?? new Uint8Array(Math.ceil(this.#layout.size / 8) * 8);
    this.#view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
    if (written === undefined) this.#view.setBigUint64(0, BigInt(this.#layout.size), true);
  }

  /** Sets fields; those that the plugin does not know yet are left out. */
  set(values: { readonly [K in keyof F]?: FieldValue }): this {
    for (const [name, value] of Object.entries(values)) {
      const offset = this.#layout.offsets.get(name);
      if (offset === undefined || value === undefined) continue;
      this.#write(this.#fields[name].kind, offset, typeof value === 'object' ? this.#pointTo(value) : value);
    }
    return this;
  }

  #pointTo(memory: ArrayBufferView | NativeMemory): Pointer {
    this.held.push(memory);
    return this.#addressOf(ArrayBuffer.isView(memory) ? memory : memory.bytes);
  }

  /** A pointer, size or 64-bit number. */
  big(name: keyof F & string): bigint {
    const { kind } = this.#fields[name];
    const offset = this.#offset(name);
    return kind === 'i64' ? this.#view.getBigInt64(offset, true) : this.#view.getBigUint64(offset, true);
  }

  /** A number, also from a size or 64-bit number; undefined where the plugin does not know the field. */
  number(name: keyof F & string): number | undefined {
    const offset = this.#layout.offsets.get(name);
    if (offset === undefined) return undefined;
    const { kind } = this.#fields[name];
    if (kind === 'bool') return this.#view.getUint8(offset);
    return kind === 'i32' ? this.#view.getInt32(offset, true) : Number(this.big(name));
  }

  /** A pointer or size as an array of one, for those who read and write it often. */
  cell(name: keyof F & string): BigUint64Array {
    return new BigUint64Array(this.bytes.buffer as ArrayBuffer, this.bytes.byteOffset + this.#offset(name), 1);
  }

  flag(name: keyof F & string): boolean {
    return this.#view.getUint8(this.#offset(name)) !== 0;
  }

  #offset(name: string): number {
    const offset = this.#layout.offsets.get(name);
    if (offset === undefined) throw new TypeError(`the plugin's version has no field ${name}`);
    return offset;
  }

  #write(kind: Field['kind'], offset: number, value: bigint | number | boolean): void {
    switch (kind) {
      case 'i32':
        this.#view.setInt32(offset, Number(value), true);
        break;
      case 'bool':
        this.#view.setUint8(offset, Number(value));
        break;
      default:
        this.#view.setBigUint64(offset, BigInt.asUintN(64, BigInt(value)), true);
    }
  }
}
