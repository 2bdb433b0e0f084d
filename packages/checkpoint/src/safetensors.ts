import { open } from 'node:fs/promises';
import { nearestName, SslError } from '@selfsup/core';
import { fileFailure } from './files.js';
import { checkMachine, headerLength, parseHeader, unreadable, type StoredEntry } from './safetensors-header.js';
import { decodeTensor, type FileDType, type StoredTensor } from './stored-tensors.js';

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
