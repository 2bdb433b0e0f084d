import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { endianness } from 'node:os';
import { formatShape, nearestName, sizeOf, SslError, type HostTensor } from '@selfsup/core';
import { fileFailure, replaceFile, writeAll } from './files.js';
import {
  encodeHeader,
  headerLength,
  parseHeader,
  unreadable,
  type EncodedHeader,
  type StoredEntry,
} from './safetensors-header.js';
import { decodeTensor, hasArrayOf, toStored, type FileDType, type StoredTensor } from './stored-tensors.js';

/** Bytes hashed and written at a time, so that the event loop gets its turn between them. */
const CHUNK_BYTES = 8 << 20;

/** Where the bytes of a file come from. */
interface ByteSource {
  readonly name: string;
  readonly size: number;
  /** Fills `into` from `offset` on. */
  read(offset: number, into: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

function memorySource(bytes: Uint8Array): ByteSource {
  return {
    name: 'the given bytes',
    size: bytes.length,
    read: (offset, into) => {
      into.set(bytes.subarray(offset, offset + into.length));
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
}

async function fileSource(path: string): Promise<ByteSource> {
  const refuse = (cause: unknown): never => {
    throw fileFailure('CHECKPOINT_UNREADABLE', 'checkpoint.openSafetensors', 'read', path, cause);
  };
  const handle = await open(path, 'r').catch(refuse);
  try {
    const { size } = await handle.stat();
    return {
      name: path,
      size,
      read: async (offset, into) => {
        for (let at = 0; at < into.length;) {
          // Node reads at most 2 GiB at once.
          const length = Math.min(into.length - at, 1 << 30);
          const { bytesRead } = await handle.read(into, at, length, offset + at).catch(refuse);
          if (bytesRead === 0) throw unreadable(path, `${size} bytes`, 'a file that became shorter while it was read');
          at += bytesRead;
        }
      },
      close: () => handle.close(),
    };
  } catch (cause) {
    await handle.close();
    return refuse(cause);
  }
}

/** An open safetensors file; tensors are read when asked for. */
export interface SafetensorsFile {
  readonly metadata: Readonly<Record<string, string>>;
  /** What is in the file, by name: dtype as stored, shape, bytes. */
  readonly entries: ReadonlyMap<
    string,
    { readonly dtype: FileDType; readonly shape: readonly number[]; readonly bytes: number }
  >;
  /**
   * Reads one tensor into memory of its own; half precision is widened to float32.
   *
   * @throws SslError `NO_PARAMS_MATCHED` for a name that is not there
   */
  read(name: string): Promise<StoredTensor>;
  /** Reads every tensor whose name begins with the prefix. */
  readAll(prefix?: string): Promise<Record<string, StoredTensor>>;
  close(): Promise<void>;
}

async function readTensor(source: ByteSource, entry: StoredEntry): Promise<StoredTensor> {
  const bytes = new ArrayBuffer(entry.bytes);
  await source.read(entry.offset, new Uint8Array(bytes));
  return decodeTensor(entry.dtype, entry.shape, bytes);
}

function checkMachine(): void {
  if (endianness() === 'LE') return;
  throw new SslError('UNSUPPORTED', {
    where: 'checkpoint.safetensors',
    expected: 'a little-endian machine',
    got: 'a big-endian one',
    fix: 'use another machine',
  });
}

/**
 * Opens a safetensors file (or its bytes) and checks its header strictly; the tensors are read one by one on demand, each
 * straight into its own memory. Close it afterwards.
 *
 * @throws SslError `CHECKPOINT_UNREADABLE` for a file that is missing, damaged or of another format
 */
export async function openSafetensors(pathOrBytes: string | Uint8Array): Promise<SafetensorsFile> {
  checkMachine();
  const source = typeof pathOrBytes === 'string' ? await fileSource(pathOrBytes) : memorySource(pathOrBytes);
  try {
    const start = new Uint8Array(Math.min(8, source.size));
    await source.read(0, start);
    const json = new Uint8Array(headerLength(source.name, start, source.size));
    await source.read(8, json);
    const { entries, metadata } = parseHeader(source.name, json, source.size);
    return {
      metadata,
      entries,
      read: async (name) => {
        const entry = entries.get(name);
        if (entry !== undefined) return readTensor(source, entry);
        const near = nearestName(name, [...entries.keys()]);
        throw new SslError('NO_PARAMS_MATCHED', {
          where: 'checkpoint.SafetensorsFile.read',
          expected: `a tensor of ${source.name}`,
          got: `"${name}"`,
          fix: near === undefined ? 'look at the names in `entries`' : `did you mean "${near}"`,
          details: { path: source.name, name },
        });
      },
      readAll: async (prefix = '') => {
        const found: [string, StoredTensor][] = [];
        for (const [name, entry] of entries) {
          if (name.startsWith(prefix)) found.push([name, await readTensor(source, entry)]);
        }
        return Object.fromEntries(found);
      },
      close: () => source.close(),
    };
  } catch (cause) {
    await source.close();
    throw cause;
  }
}

/** Everything in a safetensors file. */
export interface SafetensorsContent {
  readonly tensors: Record<string, StoredTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Reads a safetensors file (or its bytes) whole.
 *
 * @throws SslError `CHECKPOINT_UNREADABLE`
 */
export async function readSafetensors(pathOrBytes: string | Uint8Array): Promise<SafetensorsContent> {
  const file = await openSafetensors(pathOrBytes);
  try {
    return { tensors: await file.readAll(), metadata: file.metadata };
  } finally {
    await file.close();
  }
}

/** Named tensors to write: those of steps and models (`f32`, ...) or as read (`F64`, ...). */
export type WritableTensors = Readonly<Record<string, HostTensor | StoredTensor>>;

function layOut(tensors: WritableTensors, metadata: Readonly<Record<string, string>>): EncodedHeader {
  checkMachine();
  const stored = Object.entries(tensors).map(([name, tensor]): [string, StoredTensor] => {
    const entry = toStored(tensor);
    if (name !== '__metadata__' && hasArrayOf(entry) && entry.data.length === sizeOf(entry.shape)) return [name, entry];
    throw new SslError('SHAPE_MISMATCH', {
      where: 'checkpoint.writeSafetensors',
      expected:
        name === '__metadata__'
          ? 'any name but __metadata__'
          : `${tensor.dtype} ${formatShape(tensor.shape)} for "${name}"`,
      got: `${tensor.data.constructor.name}(${tensor.data.length})`,
      fix: 'pass an array of that kind and length',
      details: { name },
    });
  });
  return encodeHeader(Object.fromEntries(stored), metadata);
}

function bytesOfArray(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/**
 * The bytes of a safetensors file.
 *
 * @throws SslError `SHAPE_MISMATCH` for an array of another kind or length than its dtype and shape
 */
export function encodeSafetensors(
  tensors: WritableTensors,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const header = layOut(tensors, metadata);
  return new Uint8Array(Buffer.concat([header.bytes, ...header.tensors.map(({ data }) => bytesOfArray(data))]));
}

/** What was written. */
export interface WrittenFile {
  readonly bytes: number;
  /** Hexadecimal SHA-256 of the whole file. */
  readonly sha256: string;
}

/**
 * Writes a safetensors file, replacing an older one as a whole: a crash or a full disk leaves the older one as it was.
 * The tensors are written from where they lie, without a copy.
 *
 * @param metadata - texts for the `__metadata__` field
 * @throws SslError `SHAPE_MISMATCH` for an array of another kind or length than its dtype and shape; `WRITE_FAILED` where
 *   the file cannot be written
 *
 * @example
 * await writeSafetensors('w.safetensors', { w: { shape: [2], dtype: 'f32', data: new Float32Array(2) } });
 */
export async function writeSafetensors(
  path: string,
  tensors: WritableTensors,
  metadata: Readonly<Record<string, string>> = {},
): Promise<WrittenFile> {
  const header = layOut(tensors, metadata);
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    await replaceFile(path, async (handle) => {
      for (const part of [header.bytes, ...header.tensors.map(({ data }) => bytesOfArray(data))]) {
        for (let at = 0; at < part.length; at += CHUNK_BYTES) {
          const chunk = part.subarray(at, at + CHUNK_BYTES);
          hash.update(chunk);
          await writeAll(handle, chunk);
        }
        bytes += part.length;
      }
    });
  } catch (cause) {
    throw fileFailure('WRITE_FAILED', 'checkpoint.writeSafetensors', 'write', path, cause);
  }
  return { bytes, sha256: hash.digest('hex') };
}
