import { join } from 'node:path';
import { SslError } from '@selfsup/core';
import { propertyOptions } from '@selfsup/test-kit';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  encodeSafetensors,
  openSafetensors,
  readSafetensors,
  writeSafetensors,
  type StoredTensor,
} from '../../src/index.js';
import { temporaryFolder } from '../support/folders.js';

const ARRAYS = {
  BOOL: Uint8Array,
  F32: Float32Array,
  F64: Float64Array,
  I16: Int16Array,
  I32: Int32Array,
  I64: BigInt64Array,
  I8: Int8Array,
  U16: Uint16Array,
  U32: Uint32Array,
  U64: BigUint64Array,
  U8: Uint8Array,
} as const;
type Kind = keyof typeof ARRAYS;

/** A tensor of any dtype and shape with arbitrary bits, NaN patterns and empty tensors included. */
const tensor = fc
  .record({
    dtype: fc.constantFrom(...(Object.keys(ARRAYS) as Kind[])),
    shape: fc.array(fc.nat(4), { maxLength: 4 }),
  })
  .chain(({ dtype, shape }) => {
    const length = shape.reduce((n, d) => n * d, 1);
    const bytes = length * ARRAYS[dtype].BYTES_PER_ELEMENT;
    return fc
      .uint8Array({ minLength: bytes, maxLength: bytes })
      .map((data): StoredTensor => ({ dtype, shape, data: new ARRAYS[dtype](data.slice().buffer) }));
  });

const name = fc.string({ maxLength: 12, unit: 'binary' }).filter((text) => text !== '__metadata__');
const tensors = fc.dictionary(name, tensor, { maxKeys: 8 });
const metadata = fc.dictionary(fc.string({ maxLength: 8 }), fc.string({ unit: 'binary' }), { maxKeys: 3 });

const raw = ({ dtype, shape, data }: StoredTensor): object => ({
  dtype,
  shape,
  bytes: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex'),
});
const allRaw = (all: Readonly<Record<string, StoredTensor>>): object =>
  Object.fromEntries(Object.entries(all).map(([key, value]) => [key, raw(value)]));

test('what is written is read, bit for bit, from memory and from a file', async () => {
  const path = join(await temporaryFolder(), 'x.safetensors');
  await fc.assert(
    fc.asyncProperty(tensors, metadata, async (given, notes) => {
      const bytes = encodeSafetensors(given, notes);
      const read = await readSafetensors(bytes);
      expect(allRaw(read.tensors)).toEqual(allRaw(given));
      expect(read.metadata).toEqual(notes);
      const written = await writeSafetensors(path, given, notes);
      expect(written.bytes).toBe(bytes.length);
      expect(allRaw((await readSafetensors(path)).tensors)).toEqual(allRaw(given));
    }),
    propertyOptions(),
  );
});

test('all data is aligned, and the order in which names are given does not change the file', async () => {
  await fc.assert(
    fc.asyncProperty(tensors, async (given) => {
      const bytes = encodeSafetensors(given);
      const reversed = Object.fromEntries(Object.entries(given).reverse());
      expect(Buffer.compare(bytes, encodeSafetensors(reversed))).toBe(0);
      const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
      expect(length % 8).toBe(0);
      const header = JSON.parse(Buffer.from(bytes.subarray(8, 8 + length)).toString()) as Record<
        string,
        { data_offsets: number[] }
      >;
      for (const [key, { data_offsets: offsets }] of Object.entries(header)) {
        expect(offsets[0] % given[key].data.BYTES_PER_ELEMENT).toBe(0);
      }
      await Promise.resolve();
    }),
    propertyOptions(),
  );
});

test('a cut or changed file is refused or still a whole one, never anything else', async () => {
  await fc.assert(
    fc.asyncProperty(
      tensors,
      fc.nat(),
      fc.integer({ min: 0, max: 255 }),
      fc.boolean(),
      async (given, where, value, cut) => {
        const bytes = encodeSafetensors(given);
        const at = where % bytes.length;
        const damaged = cut ? bytes.subarray(0, at) : Uint8Array.from(bytes);
        if (!cut) damaged[at] = value;
        const outcome = await readSafetensors(damaged).catch((error: unknown) => error);
        if (SslError.is(outcome)) expect(outcome.code).toBe('CHECKPOINT_UNREADABLE');
        else expect(outcome).not.toBeInstanceOf(Error);
        if (cut) expect(outcome).toBeInstanceOf(SslError);
      },
    ),
    propertyOptions(200),
  );
});

test('any header that is JSON is refused or read', async () => {
  const offsets = fc.tuple(fc.integer({ min: -1, max: 9 }), fc.integer({ min: -1, max: 9 }));
  const entry = fc.oneof(
    fc.record({
      dtype: fc.constantFrom('U8', 'F32', 'F16', 'X'),
      shape: fc.array(fc.integer({ min: -1, max: 4 }), { maxLength: 2 }),
      data_offsets: offsets,
    }),
    fc.jsonValue(),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(fc.constantFrom('a', 'b', '__metadata__', '__proto__'), entry, { noNullPrototype: true }),
      async (header) => {
        const json = Buffer.from(JSON.stringify(header));
        const length = Buffer.alloc(8);
        length.writeBigUInt64LE(BigInt(json.length));
        const outcome = await openSafetensors(Buffer.concat([length, json, Buffer.alloc(8)])).catch(
          (error: unknown) => error,
        );
        if (outcome instanceof Error) expect(outcome).toMatchObject({ code: 'CHECKPOINT_UNREADABLE' });
      },
    ),
    propertyOptions(300),
  );
});

test('half precision: every bit pattern becomes the float32 of the same value', async () => {
  const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const header = JSON.stringify({
    half: { dtype: 'F16', shape: [65536], data_offsets: [0, 131072] },
    brain: { dtype: 'BF16', shape: [65536], data_offsets: [131072, 262144] },
  });
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const file = Buffer.concat([length, Buffer.from(header), Buffer.from(bits.buffer), Buffer.from(bits.buffer)]);
  const { half, brain } = (await readSafetensors(file)).tensors;
  expect([half.dtype, brain.dtype]).toEqual(['F32', 'F32']);
  for (let i = 0; i < 65536; i++) {
    const sign = i & 0x8000 ? -1 : 1;
    const [e16, f16] = [(i >> 10) & 31, i & 1023];
    const value16 =
      e16 === 31 ? (f16 === 0 ? Infinity : NaN) : e16 === 0 ? f16 * 2 ** -24 : (1 + f16 / 1024) * 2 ** (e16 - 15);
    if (!Object.is(half.data[i], sign * value16)) throw new Error(`F16 ${i}: ${half.data[i]}, not ${sign * value16}`);
    const [e8, f7] = [(i >> 7) & 255, i & 127];
    const valueB =
      e8 === 255 ? (f7 === 0 ? Infinity : NaN) : e8 === 0 ? (f7 / 128) * 2 ** -126 : (1 + f7 / 128) * 2 ** (e8 - 127);
    if (!Object.is(brain.data[i], sign * valueB)) throw new Error(`BF16 ${i}: ${brain.data[i]}, not ${sign * valueB}`);
  }
});
