import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  encodeSafetensors,
  openSafetensors,
  readSafetensors,
  toHostTensor,
  writeSafetensors,
  type DeferredTensor,
  type StoredTensor,
} from '../../src/index.js';
import { temporaryFolder } from '../support/folders.js';

/** A file from header text and data bytes. */
function file(header: string, dataBytes = 0, length = Buffer.byteLength(header)): Buffer {
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(length));
  return Buffer.concat([head, Buffer.from(header), Buffer.alloc(dataBytes)]);
}

const u8 = (begin: number, end: number, shape = `[${end - begin}]`): string =>
  `{"dtype":"U8","shape":${shape},"data_offsets":[${begin},${end}]}`;

describe('the format', () => {
  test('bytes are exactly those of the reference implementation', () => {
    // safetensors.numpy.save({"b": np.arange(2, dtype=np.uint8), "a": np.ones((1, 2), np.float32)}, {"k": "v"}): larger
    // elements first, header padded with spaces to a multiple of 8.
    const bytes = encodeSafetensors(
      {
        b: { shape: [2], dtype: 'u8', data: Uint8Array.of(0, 1) },
        a: { shape: [1, 2], dtype: 'f32', data: Float32Array.of(1, 1) },
      },
      { k: 'v' },
    );
    const header =
      '{"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[2],"data_offsets":[8,10]}}';
    const padded = header.padEnd(Math.ceil(header.length / 8) * 8, ' ');
    const data = Buffer.from([0, 0, 0x80, 0x3f, 0, 0, 0x80, 0x3f, 0, 1]);
    expect(Buffer.from(bytes).equals(Buffer.concat([file(padded), data]))).toBe(true);
  });

  test('views into larger and into shared memory are written from where they lie', async () => {
    const path = join(await temporaryFolder(), 'x.safetensors');
    const shared = new Float32Array(new SharedArrayBuffer(16), 4, 2);
    shared.set([3, 4]);
    const view = new Float32Array([9, 1, 2, 9]).subarray(1, 3);
    await writeSafetensors(path, {
      view: { shape: [2], dtype: 'f32', data: view },
      shared: { shape: [2], dtype: 'f32', data: shared },
    });
    const { tensors } = await readSafetensors(path);
    expect([...tensors['view'].data, ...tensors['shared'].data]).toEqual([1, 2, 3, 4]);
  });

  test('names and prefixes are read one by one, straight from the file', async () => {
    const path = join(await temporaryFolder(), 'x.safetensors');
    const one = (value: number): StoredTensor => ({ shape: [1], dtype: 'F64', data: Float64Array.of(value) });
    await writeSafetensors(path, { 'a.x': one(1), 'a.y': one(2), b: one(3) }, { note: 'n' });
    const opened = await openSafetensors(path);
    expect(opened.metadata).toEqual({ note: 'n' });
    expect(opened.entries.get('b')).toMatchObject({ dtype: 'F64', shape: [1], bytes: 8 });
    expect(await opened.read('b')).toEqual(one(3));
    expect(await opened.readAll('a.')).toEqual({ 'a.x': one(1), 'a.y': one(2) });
    await expect(opened.read('c')).rejects.toMatchObject({ code: 'NO_PARAMS_MATCHED' });
    await opened.close();
  });

  test('a file of 300 MB is read tensor by tensor without a second copy', async () => {
    const path = join(await temporaryFolder(), 'large.safetensors');
    const count = 100;
    const bytes = 3 << 20;
    const entries = Array.from({ length: count }, (_, i) => `"t${i}":${u8(i * bytes, (i + 1) * bytes)}`);
    const head = file(`{${entries.join(',')}}`);
    writeFileSync(path, head);
    // A sparse file: the data takes no disk.
    const handle = await open(path, 'r+');
    await handle.truncate(head.length + count * bytes);
    await handle.close();
    const opened = await openSafetensors(path);
    const before = process.memoryUsage().arrayBuffers;
    const tensor = await opened.read('t57');
    expect(tensor.data.length).toBe(bytes);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 * bytes);
    await opened.close();
  });

  test('a failed write leaves the older file and nothing else', async () => {
    const folder = await temporaryFolder();
    const path = join(folder, 'x.safetensors');
    const good = { a: { shape: [1], dtype: 'u8', data: Uint8Array.of(7) } } as const;
    await writeSafetensors(path, good);
    const bad = { a: { shape: [2], dtype: 'u8', data: Uint8Array.of(7) } } as const;
    await expect(writeSafetensors(path, bad)).rejects.toMatchObject({ code: 'SHAPE_MISMATCH' });
    expect((await readSafetensors(path)).tensors['a'].data[0]).toBe(7);
    await expect(writeSafetensors(join(path, 'y'), good)).rejects.toMatchObject({
      code: 'WRITE_FAILED',
      details: { reason: 'ENOTDIR' },
    });
    expect(readdirSync(folder)).toEqual(['x.safetensors']);
  });

  test('deferred tensors are read one by one, as they are written', async () => {
    const path = join(await temporaryFolder(), 'x.safetensors');
    const values = { a: new Float32Array(3).fill(1), b: new Int32Array(2).fill(2), c: new Float32Array(1).fill(3) };
    let atOnce = 0;
    const deferred = (name: 'a' | 'b' | 'c', dtype: 'f32' | 'i32'): DeferredTensor => ({
      shape: [values[name].length],
      dtype,
      read: async () => {
        expect(++atOnce).toBe(1);
        await Promise.resolve();
        atOnce--;
        return values[name];
      },
    });
    const written = await writeSafetensors(path, {
      b: deferred('b', 'i32'),
      c: deferred('c', 'f32'),
      a: deferred('a', 'f32'),
    });
    const direct = encodeSafetensors({
      a: { shape: [3], dtype: 'f32', data: values.a },
      b: { shape: [2], dtype: 'i32', data: values.b },
      c: { shape: [1], dtype: 'f32', data: values.c },
    });
    expect(Buffer.compare(readFileSync(path), direct)).toBe(0);
    expect(written).toEqual({ bytes: direct.length, sha256: createHash('sha256').update(direct).digest('hex') });
  });

  test('a deferred tensor that fails or brings the wrong array leaves the older file', async () => {
    const folder = await temporaryFolder();
    const path = join(folder, 'x.safetensors');
    await writeSafetensors(path, { a: { shape: [1], dtype: 'f32', data: Float32Array.of(7) } });
    const gone = { shape: [1], dtype: 'f32', read: () => Promise.reject(new Error('device lost')) } as const;
    await expect(writeSafetensors(path, { a: gone })).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
      message: expect.stringMatching(/read "a".*device lost/),
    });
    const short = { shape: [3], dtype: 'f32', read: () => Promise.resolve(new Float32Array(2)) } as const;
    await expect(writeSafetensors(path, { a: short })).rejects.toMatchObject({ code: 'SHAPE_MISMATCH' });
    expect((await readSafetensors(path)).tensors['a'].data[0]).toBe(7);
    expect(readdirSync(folder)).toEqual(['x.safetensors']);
  });

  test.each<[string, StoredTensor | { shape: number[]; dtype: 'f32'; data: Float32Array }]>([
    ['length', { shape: [3], dtype: 'f32', data: new Float32Array(2) }],
    ['kind of array', { shape: [2], dtype: 'F64', data: new Float32Array(2) }],
    ['dtype', { shape: [2], dtype: 'F16' as 'F32', data: new Float32Array(2) }],
  ])('a wrong %s is refused before anything is written', (_, tensor) => {
    expect(() => encodeSafetensors({ w: tensor })).toThrow(/for "w", got Float32Array\(2\)/);
  });

  test('the name of the metadata field is no name for a tensor', () => {
    expect(() => encodeSafetensors({ __metadata__: { shape: [0], dtype: 'u8', data: new Uint8Array(0) } })).toThrow(
      /any name but __metadata__/,
    );
  });
});

describe('foreign files', () => {
  test.each<[string, Uint8Array, string]>([
    ['empty', new Uint8Array(0), 'got 0 bytes'],
    ['shorter than a length', new Uint8Array(7), 'got 7 bytes'],
    ['length beyond the file', file('{}', 0, 3), 'header length of 3 in 10 bytes'],
    ['length of 2^63', Buffer.from('000000000000008000', 'hex'), 'header length of'],
    ['header of a byte', file('{', 0), 'header length of 1'],
    ['PyTorch zip', Buffer.from('PK\x03\x04 and so on'), 'convert it to safetensors first'],
    ['no JSON', file('{"a":'), 'a JSON header'],
    ['no UTF-8', Buffer.concat([file('', 0, 4), Buffer.from([0x7b, 0xff, 0xfe, 0x7d])]), 'a JSON header'],
    ['an array', file('[]'), 'a JSON object'],
    ['a space first', file(' {}'), 'a JSON object'],
    ['a name twice', file(`{"a":${u8(0, 1)},"a":${u8(0, 1)}}`, 1), '"a" twice'],
    ['a name twice, once escaped', file(`{"a":${u8(0, 1)},"\\u0061":${u8(0, 1)}}`, 1), '"a" twice'],
    ['a field twice', file('{"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}', 1), '"dtype" twice'],
    ['no object', file('{"a":3}'), 'an object for tensor "a"'],
    ['unknown dtype', file('{"a":{"dtype":"F4","shape":[0],"data_offsets":[0,0]}}'), 'got "F4"'],
    ['no dtype', file('{"a":{"shape":[0],"data_offsets":[0,0]}}'), 'a dtype (one of'],
    ['negative size', file(`{"a":${u8(0, 0, '[-1]')}}`), 'non-negative integers'],
    ['fractional size', file(`{"a":${u8(0, 0, '[0.5]')}}`), 'non-negative integers'],
    ['sizes that overflow', file(`{"a":${u8(0, 1, '[4294967296,4294967296,4294967296]')}}`, 1), 'for U8'],
    ['offsets of three', file('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}', 2), 'two data_offsets'],
    ['offsets backwards', file(`{"a":${u8(1, 0, '[1]')}}`, 1), 'data_offsets within'],
    ['offsets beyond the file', file(`{"a":${u8(0, 2)}}`, 1), 'data_offsets within 1 bytes'],
    ['bytes that do not fit the shape', file(`{"a":${u8(0, 2, '[3]')}}`, 2), '3 bytes, for U8 [3]'],
    ['an overlap', file(`{"a":${u8(0, 2)},"b":${u8(1, 3)}}`, 3), 'an overlap before "b"'],
    ['a gap', file(`{"a":${u8(0, 1)},"b":${u8(2, 3)}}`, 3), 'a gap before "b"'],
    ['bytes left over', file(`{"a":${u8(0, 1)}}`, 2), 'bytes'],
    ['metadata that is no text', file('{"__metadata__":{"a":1}}'), 'texts as metadata'],
  ])('%s', async (_, bytes, part) => {
    const path = join(await temporaryFolder(), 'foreign.safetensors');
    writeFileSync(path, bytes);
    const opened = openSafetensors(path);
    await expect(opened).rejects.toMatchObject({ code: 'CHECKPOINT_UNREADABLE', details: { path } });
    await expect(opened).rejects.toThrow(part);
    await expect(openSafetensors(bytes)).rejects.toMatchObject({ code: 'CHECKPOINT_UNREADABLE' });
  });

  test('a path that is not there, a folder', async () => {
    const folder = await temporaryFolder();
    await expect(openSafetensors(join(folder, 'none'))).rejects.toMatchObject({
      code: 'CHECKPOINT_UNREADABLE',
      details: { reason: 'ENOENT' },
    });
    await expect(openSafetensors(folder)).rejects.toMatchObject({ code: 'CHECKPOINT_UNREADABLE' });
  });

  test('odd but legal: no tensor, empty tensors, a scalar, a name that is a property of every object', async () => {
    expect((await readSafetensors(file('{}'))).tensors).toEqual({});
    const { tensors } = await readSafetensors(
      file(`{"e":${u8(0, 0)},"s":${u8(0, 1, '[]')},"f":${u8(1, 1, '[2,0]')},"__proto__":${u8(1, 2)}}`, 2),
    );
    expect(Object.keys(tensors).sort()).toEqual(['__proto__', 'e', 'f', 's']);
    expect(tensors['s'].data.length).toBe(1);
  });
});

describe('toHostTensor', () => {
  test('narrows to the dtypes of steps', () => {
    const host = (tensor: Omit<StoredTensor, 'shape'>): object => {
      const { dtype, data } = toHostTensor('x', { ...tensor, shape: [tensor.data.length] });
      return [dtype, ...data];
    };
    expect(host({ dtype: 'F64', data: Float64Array.of(0.1) })).toEqual(['f32', Math.fround(0.1)]);
    expect(host({ dtype: 'I64', data: BigInt64Array.of(-5n) })).toEqual(['i32', -5]);
    expect(host({ dtype: 'U16', data: Uint16Array.of(65535) })).toEqual(['i32', 65535]);
    expect(host({ dtype: 'BOOL', data: Uint8Array.of(1) })).toEqual(['bool', 1]);
    expect(host({ dtype: 'U8', data: Uint8Array.of(255) })).toEqual(['u8', 255]);
    expect(() => host({ dtype: 'I64', data: BigInt64Array.of(2n ** 40n) })).toThrow(/32 bits in x, got 1099511627776/);
    expect(() => host({ dtype: 'U32', data: Uint32Array.of(2 ** 31) })).toThrow(/32 bits/);
  });
});
