import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readSafetensors } from '../../src/index.js';

const directory = mkdtempSync(join(tmpdir(), 'test-kit-'));
afterAll(() => rmSync(directory, { recursive: true }));

function write(name: string, tensors: Record<string, { dtype: string; shape: number[]; bytes: Uint8Array }>): string {
  let offset = 0;
  const header: Record<string, unknown> = { __metadata__: { made: 'here' } };
  for (const [key, { dtype, shape, bytes }] of Object.entries(tensors)) {
    header[key] = { dtype, shape, data_offsets: [offset, (offset += bytes.length)] };
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const path = join(directory, name);
  writeFileSync(path, Buffer.concat([length, json, ...Object.values(tensors).map((tensor) => tensor.bytes)]));
  return path;
}

const bytesOf = (array: ArrayBufferView): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

describe('readSafetensors', () => {
  it('reads every dtype, aligned or not', () => {
    const path = write('all.safetensors', {
      bool: { dtype: 'BOOL', shape: [3], bytes: Uint8Array.of(1, 0, 1) },
      f32: { dtype: 'F32', shape: [1, 2], bytes: bytesOf(Float32Array.of(1.5, -2)) },
      f64: { dtype: 'F64', shape: [], bytes: bytesOf(Float64Array.of(Math.PI)) },
      i64: { dtype: 'I64', shape: [2], bytes: bytesOf(BigInt64Array.of(-7n, 9n)) },
      i16: { dtype: 'I16', shape: [1], bytes: bytesOf(Int16Array.of(-300)) },
      f16: { dtype: 'F16', shape: [4], bytes: bytesOf(Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x3555)) },
    });
    const tensors = readSafetensors(path);
    expect(tensors['bool']).toEqual({ dtype: 'BOOL', shape: [3], data: Uint8Array.of(1, 0, 1) });
    expect(tensors['f32']).toEqual({ dtype: 'F32', shape: [1, 2], data: Float32Array.of(1.5, -2) });
    expect(tensors['f64'].data[0]).toBe(Math.PI);
    expect(tensors['i64'].data).toEqual(Int32Array.of(-7, 9));
    expect(tensors['i16'].data).toEqual(Int16Array.of(-300));
    expect(tensors['f16'].data).toEqual(Float32Array.of(1, -2, 2 ** -24, 0.333251953125));
    expect(Object.keys(tensors)).not.toContain('__metadata__');
  });

  it('refuses integers that do not fit', () => {
    const path = write('big.safetensors', {
      big: { dtype: 'I64', shape: [1], bytes: bytesOf(BigInt64Array.of(1n << 40n)) },
    });
    expect(() => readSafetensors(path)).toThrow(/32 bits/);
  });
});
