import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { SslError } from '@selfsup/core';
import { checkIndex, type Dataset, type Split } from './dataset.js';

const SIDE = 32;
const PIXEL_BYTES = 3 * SIDE * SIDE;

/** Files and records of one of the CIFAR data sets in their binary form (Krizhevsky 2009, cs.toronto.edu/~kriz/cifar). */
interface CifarLayout {
  readonly kind: string;
  readonly train: RegExp;
  readonly test: RegExp;
  /** Bytes before the pixels; the last of them is the label. */
  readonly labelBytes: number;
  readonly classes: number;
  /** Text file with a class name per line. */
  readonly namesFile: string;
}

const LAYOUTS: readonly CifarLayout[] = [
  {
    kind: 'cifar10',
    train: /^data_batch_\d+\.bin(\.gz)?$/,
    test: /^test_batch\.bin(\.gz)?$/,
    labelBytes: 1,
    classes: 10,
    namesFile: 'batches.meta.txt',
  },
  {
    kind: 'cifar100',
    train: /^train\.bin(\.gz)?$/,
    test: /^test\.bin(\.gz)?$/,
    labelBytes: 2,
    classes: 100,
    namesFile: 'fine_label_names.txt',
  },
];

/** The CIFAR files among the names in a folder. */
export interface CifarFiles {
  readonly layout: CifarLayout;
  readonly train: readonly string[];
  readonly test: readonly string[];
}

/** Names in order, `data_batch_10` after `data_batch_2`; of a file that is there plain and packed, the plain one. */
function pick(names: readonly string[], pattern: RegExp): string[] {
  return names
    .filter((name) => pattern.test(name) && !(name.endsWith('.gz') && names.includes(name.slice(0, -3))))
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
}

/** Finds CIFAR binaries among the names in a folder; undefined where there are none. */
export function findCifar(names: readonly string[]): CifarFiles | undefined {
  for (const layout of LAYOUTS) {
    const files = { layout, train: pick(names, layout.train), test: pick(names, layout.test) };
    if (files.train.length + files.test.length > 0) return files;
  }
  return undefined;
}

function badFile(path: string, expected: string, got: string, cause?: unknown): SslError {
  return new SslError('BAD_DATA', {
    where: 'datasets.openDataset',
    expected,
    got: `${path}: ${got}`,
    fix: 'download the file again, in the binary version',
    details: { path },
    ...(cause === undefined ? {} : { cause }),
  });
}

/** The records of a file, in memory that worker threads share. */
async function readRecords(path: string, layout: CifarLayout): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    const raw = await readFile(path);
    bytes = path.endsWith('.gz') ? await promisify(gunzip)(raw) : raw;
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    throw badFile(path, 'a readable CIFAR binary file', got, cause);
  }
  const record = layout.labelBytes + PIXEL_BYTES;
  if (bytes.length === 0 || bytes.length % record !== 0) {
    throw badFile(path, `whole records of ${record} bytes`, `${bytes.length} bytes`);
  }
  for (let at = layout.labelBytes - 1; at < bytes.length; at += record) {
    if (bytes[at] >= layout.classes) {
      throw badFile(
        path,
        `labels from 0 to ${layout.classes - 1}`,
        `label ${bytes[at]} in record ${Math.floor(at / record)}`,
      );
    }
  }
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  return shared;
}

async function classNames(directory: string, layout: CifarLayout): Promise<string[]> {
  const text = await readFile(join(directory, layout.namesFile), 'utf8').catch(() => '');
  const names = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  return Array.from({ length: layout.classes }, (_, label) => names[label] ?? `class ${label}`);
}

/** Reads the files of a split. */
export async function openCifar(directory: string, files: CifarFiles, split: Split): Promise<Dataset> {
  const { layout } = files;
  const wanted = split === 'all' ? [...files.train, ...files.test] : files[split];
  if (wanted.length === 0) {
    throw new SslError('DATA_EMPTY', {
      where: 'datasets.openDataset',
      expected: `files of the ${split} part in ${directory}`,
      got: `only ${[...files.train, ...files.test].join(', ')}`,
      fix: 'put the missing files of the archive into the folder',
      details: { directory, split },
    });
  }
  const record = layout.labelBytes + PIXEL_BYTES;
  const parts: { readonly name: string; readonly bytes: Uint8Array; readonly first: number }[] = [];
  let size = 0;
  for (const name of wanted) {
    const bytes = await readRecords(join(directory, name), layout);
    parts.push({ name, bytes, first: size });
    size += bytes.length / record;
  }
  const locate = (index: number): { readonly name: string; readonly bytes: Uint8Array; readonly row: number } => {
    checkIndex('datasets.Dataset', index, size);
    let part = parts.length - 1;
    while (parts[part].first > index) part--;
    return { name: parts[part].name, bytes: parts[part].bytes, row: index - parts[part].first };
  };
  return {
    kind: layout.kind,
    split,
    size,
    classes: await classNames(directory, layout),
    source: (index) => {
      const { bytes, row } = locate(index);
      return {
        kind: 'planar',
        buffer: bytes.buffer,
        offset: row * record + layout.labelBytes,
        width: SIDE,
        height: SIDE,
      };
    },
    label: (index) => {
      const { bytes, row } = locate(index);
      return bytes[row * record + layout.labelBytes - 1];
    },
    name: (index) => {
      const { name, row } = locate(index);
      return `${name}#${row}`;
    },
  };
}
