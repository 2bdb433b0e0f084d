import { endianness } from 'node:os';
import { formatShape, sizeOf, SslError } from '@selfsup/core';
import { duplicateKey } from './json-keys.js';
import { DTYPE_BYTES, type FileDType, type StoredDType } from './stored-tensors.js';

/** The reference implementation refuses longer headers too. */
const MAX_HEADER_BYTES = 100_000_000;

/** Where a tensor lies in a file. */
export interface StoredEntry {
  readonly dtype: FileDType;
  readonly shape: readonly number[];
  /** From the start of the file. */
  readonly offset: number;
  readonly bytes: number;
}

/** What the head of a file says. */
export interface SafetensorsHeader {
  readonly entries: ReadonlyMap<string, StoredEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The format is little-endian, and arrays go in and out as they are. */
export function checkMachine(): void {
  if (endianness() === 'LE') return;
  throw new SslError('UNSUPPORTED', {
    where: 'checkpoint.safetensors',
    expected: 'a little-endian machine',
    got: 'a big-endian one',
    fix: 'use another machine',
  });
}

/** Refuses a file. */
export function unreadable(path: string, expected: string, got: string, fix?: string): SslError {
  return new SslError('CHECKPOINT_UNREADABLE', {
    where: 'checkpoint.openSafetensors',
    expected: `${expected} in ${path}`,
    got,
    fix: fix ?? 'download or write the file again',
    details: { path },
  });
}

/**
 * Reads the length of the header from the first bytes of a file.
 *
 * @param start - up to 8 bytes
 */
export function headerLength(path: string, start: Uint8Array, fileBytes: number): number {
  if (start[0] === 0x50 && start[1] === 0x4b) {
    throw unreadable(
      path,
      'a safetensors header',
      'a zip archive, as PyTorch writes',
      'convert it to safetensors first',
    );
  }
  if (start.length < 8) throw unreadable(path, 'a safetensors header', `${fileBytes} bytes`);
  const length = Number(new DataView(start.buffer, start.byteOffset, 8).getBigUint64(0, true));
  if (length < 2 || length > MAX_HEADER_BYTES || length > fileBytes - 8) {
    throw unreadable(path, 'a safetensors header that fits', `a header length of ${length} in ${fileBytes} bytes`);
  }
  return length;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function parseEntry(path: string, name: string, value: unknown, dataStart: number, dataBytes: number): StoredEntry {
  const wrong = (expected: string, got: unknown): SslError =>
    unreadable(path, `${expected} for tensor "${name}"`, got === undefined ? 'nothing' : JSON.stringify(got));
  if (!isRecord(value)) throw wrong('an object', value);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(DTYPE_BYTES, dtype)) {
    throw wrong(`a dtype (one of ${Object.keys(DTYPE_BYTES).join(', ')})`, dtype);
  }
  if (!Array.isArray(shape) || !shape.every(isCount)) throw wrong('a shape of non-negative integers', shape);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount))
    throw wrong('two data_offsets', offsets);
  const [begin, end] = offsets as [number, number];
  if (begin > end || end > dataBytes) throw wrong(`data_offsets within ${dataBytes} bytes of data`, offsets);
  const needed = sizeOf(shape) * DTYPE_BYTES[dtype as FileDType];
  if (end - begin !== needed) throw wrong(`${needed} bytes, for ${dtype} ${formatShape(shape)},`, end - begin);
  return { dtype: dtype as FileDType, shape, offset: dataStart + begin, bytes: needed };
}

/** The data must be covered without gaps and without overlaps, as the format demands. */
function checkCover(
  path: string,
  entries: ReadonlyMap<string, StoredEntry>,
  dataStart: number,
  fileBytes: number,
): void {
  let covered = dataStart;
  for (const [name, entry] of [...entries].sort(([, a], [, b]) => a.offset - b.offset || a.bytes - b.bytes)) {
    if (entry.offset !== covered) {
      const kind = entry.offset < covered ? 'an overlap' : 'a gap';
      throw unreadable(path, 'tensors that lie side by side', `${kind} before "${name}"`);
    }
    covered += entry.bytes;
  }
  if (covered !== fileBytes) throw unreadable(path, `${covered} bytes`, `${fileBytes}`);
}

/**
 * Parses and checks a header strictly: nothing a file says is trusted before it has been compared with the file's size.
 *
 * @param json - the header without its length
 * @throws SslError `CHECKPOINT_UNREADABLE`
 */
export function parseHeader(path: string, json: Uint8Array, fileBytes: number): SafetensorsHeader {
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json);
    header = JSON.parse(text);
  } catch (cause) {
    throw unreadable(path, 'a JSON header', cause instanceof Error ? cause.message : String(cause));
  }
  if (!isRecord(header) || !text.startsWith('{')) throw unreadable(path, 'a JSON object as header', text.slice(0, 20));
  const twice = duplicateKey(text);
  if (twice !== undefined) throw unreadable(path, 'every name once', `"${twice}" twice`);

  const { __metadata__: metadata = {}, ...tensors } = header;
  if (!isRecord(metadata) || !Object.values(metadata).every((value) => typeof value === 'string')) {
    throw unreadable(path, 'texts as metadata', JSON.stringify(metadata).slice(0, 80));
  }
  const dataStart = 8 + json.length;
  const entries = new Map<string, StoredEntry>();
  for (const [name, value] of Object.entries(tensors)) {
    entries.set(name, parseEntry(path, name, value, dataStart, fileBytes - dataStart));
  }
  checkCover(path, entries, dataStart, fileBytes);
  return { entries, metadata: metadata as Readonly<Record<string, string>> };
}

/** Head of a file to write, and the names of its tensors in the order of their data. */
export interface EncodedHeader {
  /** Length and JSON, padded with spaces to a multiple of 8 bytes. */
  readonly bytes: Uint8Array;
  readonly names: readonly string[];
}

const DTYPE_ORDER = Object.keys(DTYPE_BYTES);

/**
 * Lays tensors out as the reference implementation does, by dtype and then by name: the same tensors always give the
 * same file.
 */
export function encodeHeader(
  tensors: Readonly<Record<string, { readonly dtype: StoredDType; readonly shape: readonly number[] }>>,
  metadata: Readonly<Record<string, string>>,
): EncodedHeader {
  const order = Object.entries(tensors).sort(
    ([a, x], [b, y]) => DTYPE_ORDER.indexOf(x.dtype) - DTYPE_ORDER.indexOf(y.dtype) || (a < b ? -1 : 1),
  );
  let offset = 0;
  const entries = order.map(([name, { dtype, shape }]): [string, unknown] => {
    const begin = offset;
    offset += sizeOf(shape) * DTYPE_BYTES[dtype];
    return [name, { dtype, shape, data_offsets: [begin, offset] }];
  });
  const header = Object.keys(metadata).length === 0 ? entries : [['__metadata__', metadata] as const, ...entries];
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const length = Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(8 + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, 8);
  return { bytes, names: order.map(([name]) => name) };
}
