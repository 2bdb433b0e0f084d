import { createHash } from 'node:crypto';
import { formatShape, sizeOf, SslError, type HostArray, type HostTensor, type TensorSpec } from '@selfsup/core';
import { fileFailure, replaceFile, writeAll } from './files.js';
import { checkMachine, encodeHeader, type EncodedHeader } from './safetensors-header.js';
import { hasArrayOf, toStored, storedDType, type StoredTensor } from './stored-tensors.js';

/** Bytes hashed and written at a time, so that the event loop gets its turn between them. */
const CHUNK_BYTES = 8 << 20;

/** Named tensors that are in memory: those of steps and models (`f32`, ...) or as read from a file (`F64`, ...). */
export type TensorsInMemory = Readonly<Record<string, HostTensor | StoredTensor>>;

/** A tensor that is fetched when its turn to be written comes, so that only one of them is in memory at a time. */
export interface DeferredTensor extends TensorSpec {
  readonly read: () => Promise<HostArray>;
}

/** Named tensors to write. */
export type WritableTensors = Readonly<Record<string, HostTensor | StoredTensor | DeferredTensor>>;

const isDeferred = (tensor: HostTensor | StoredTensor | DeferredTensor): tensor is DeferredTensor => 'read' in tensor;

/** Its array, read now. */
async function fetched(name: string, tensor: DeferredTensor): Promise<HostTensor> {
  try {
    return { ...tensor, data: await tensor.read() };
  } catch (cause) {
    if (SslError.is(cause)) throw cause;
    throw new SslError('ENGINE_FAILED', {
      where: 'checkpoint.writeSafetensors',
      expected: `to read "${name}" from where it is kept`,
      got: cause instanceof Error ? cause.message : String(cause),
      fix: 'nothing was written over; look at the engine that keeps it',
      details: { name },
      cause,
    });
  }
}

/** The tensor in the words of a file, its array checked. */
function checked(name: string, tensor: HostTensor | StoredTensor): StoredTensor {
  const stored = toStored(tensor);
  if (hasArrayOf(stored) && stored.data.length === sizeOf(stored.shape)) return stored;
  throw new SslError('SHAPE_MISMATCH', {
    where: 'checkpoint.writeSafetensors',
    expected: `${tensor.dtype} ${formatShape(tensor.shape)} for "${name}"`,
    got: `${tensor.data.constructor.name}(${tensor.data.length})`,
    fix: 'pass an array of that kind and length',
    details: { name },
  });
}

function layOut(tensors: WritableTensors, metadata: Readonly<Record<string, string>>): EncodedHeader {
  checkMachine();
  const entries = Object.entries(tensors).map(([name, tensor]) => {
    if (name === '__metadata__') {
      throw new SslError('SHAPE_MISMATCH', {
        where: 'checkpoint.writeSafetensors',
        expected: 'any name but __metadata__',
        got: 'a tensor of that name',
        fix: 'give it another name, or pass texts as metadata',
        details: { name },
      });
    }
    const { shape, dtype } = isDeferred(tensor)
      ? { shape: tensor.shape, dtype: storedDType(tensor.dtype) }
      : checked(name, tensor);
    return [name, { shape, dtype }] as const;
  });
  return encodeHeader(Object.fromEntries(entries), metadata);
}

function bytesOf(name: string, tensor: HostTensor | StoredTensor): Uint8Array {
  const { data } = checked(name, tensor);
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/**
 * The bytes of a safetensors file.
 *
 * @throws SslError `SHAPE_MISMATCH` for an array of another kind or length than its dtype and shape
 */
export function encodeSafetensors(
  tensors: TensorsInMemory,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const { bytes, names } = layOut(tensors, metadata);
  return new Uint8Array(Buffer.concat([bytes, ...names.map((name) => bytesOf(name, tensors[name]))]));
}

/** What was written. */
export interface WrittenFile {
  readonly bytes: number;
  /** Hexadecimal SHA-256 of the whole file. */
  readonly sha256: string;
}

/**
 * Writes a safetensors file, replacing an older one as a whole: a crash or a full disk leaves the older one as it was.
 * Tensors in memory are written from where they lie, without a copy; deferred ones are read one after the other.
 *
 * @param metadata - texts for the `__metadata__` field
 * @throws SslError `SHAPE_MISMATCH` for an array of another kind or length than its dtype and shape; `WRITE_FAILED` where
 *   the file cannot be written; the SslError of a deferred tensor, `ENGINE_FAILED` for any other error of its
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
      const write = async (part: Uint8Array): Promise<void> => {
        for (let at = 0; at < part.length; at += CHUNK_BYTES) {
          const chunk = part.subarray(at, at + CHUNK_BYTES);
          hash.update(chunk);
          await writeAll(handle, chunk);
        }
        bytes += part.length;
      };
      await write(header.bytes);
      for (const name of header.names) {
        const tensor = tensors[name];
        await write(bytesOf(name, isDeferred(tensor) ? await fetched(name, tensor) : tensor));
      }
    });
  } catch (cause) {
    throw fileFailure('WRITE_FAILED', 'checkpoint.writeSafetensors', 'write', path, cause);
  }
  return { bytes, sha256: hash.digest('hex') };
}
