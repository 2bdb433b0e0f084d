import { STRUCTS } from './api-table.js';
import { layOut, Struct, type FieldValue, type NativeMemory, type Pointer } from './layout.js';
import type { Plugin } from './plugin.js';

export type NamedValue = string | number | boolean | readonly number[];
export type NamedValues = Readonly<Record<string, NamedValue>>;

/** Kinds of value, as the API numbers them. */
const TYPE = { string: 0, i64: 1, i64List: 2, f32: 3, bool: 4 } as const;

/** Named values as native code takes them. */
export interface EncodedValues extends NativeMemory {
  readonly count: number;
}

/** Writes options: text, whole numbers, lists of whole numbers, flags. */
export function encodeNamedValues(plugin: Plugin, values: NamedValues): EncodedValues {
  const structs = Object.entries(values).map(([key, value]) => {
    const name = Buffer.from(key);
    return plugin.struct('NamedValue', { name, name_size: name.length, ...encoded(value) });
  });
  // Never empty, so that there is an address.
  const bytes = structs.length === 0 ? Buffer.alloc(1) : Buffer.concat(structs.map((struct) => struct.bytes));
  return { bytes, count: structs.length, held: structs };
}

function encoded(value: NamedValue): { type: number; value: FieldValue; value_size: number } {
  switch (typeof value) {
    case 'string': {
      // A terminating zero for those who look for one.
      const text = Buffer.from(`${value}\0`);
      return { type: TYPE.string, value: text, value_size: text.length - 1 };
    }
    case 'number':
      return { type: TYPE.i64, value: BigInt(value), value_size: 1 };
    case 'boolean':
      return { type: TYPE.bool, value: BigInt(value), value_size: 1 };
    default:
      return { type: TYPE.i64List, value: BigInt64Array.from(value, BigInt), value_size: value.length };
  }
}

/** Reads `count` named values from native memory. */
export function decodeNamedValues(plugin: Plugin, address: Pointer, count: bigint): NamedValues {
  const { minor } = plugin.version;
  const { size } = layOut(STRUCTS.NamedValue, minor);
  return Object.fromEntries(
    Array.from({ length: Number(count) }, (_, i) => {
      const one = new Struct(
        STRUCTS.NamedValue,
        minor,
        plugin.addressOf,
        plugin.copyBytes(address + BigInt(i * size), size),
      );
      return [plugin.copyText(one.big('name'), one.big('name_size')), decoded(plugin, one)];
    }),
  );
}

function decoded(plugin: Plugin, one: Struct<typeof STRUCTS.NamedValue>): NamedValue {
  const [value, length] = [one.big('value'), Number(one.big('value_size'))];
  const bits = new DataView(BigInt64Array.of(value).buffer);
  switch (one.number('type')) {
    case TYPE.string:
      return plugin.copyText(value, BigInt(length));
    case TYPE.i64List: {
      const list = plugin.copyBytes(value, 8 * length);
      return Array.from(new BigInt64Array(list.buffer, list.byteOffset, length), Number);
    }
    case TYPE.f32:
      return bits.getFloat32(0, true);
    case TYPE.bool:
      return bits.getUint8(0) !== 0;
    default:
      return Number(value);
  }
}
