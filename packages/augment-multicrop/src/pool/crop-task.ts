import { SslError, type SslErrorCode, type SslErrorInit } from '@selfsup/core';
import type { ResolvedViews } from '../config.js';
import type { SampleKey } from '../draw-view.js';
import { checkImage, type RgbImage } from '../image.js';
import { renderInto, type CropBatch } from '../multi-crop.js';

/** What a decoder module exports as `decode`. */
export type Decode = (source: unknown) => RgbImage | Promise<RgbImage>;

/** What a pool is made for; plain data, since it goes to the workers. */
export interface PoolSetup {
  /** Address of the decoder module. */
  readonly decoder: string;
  readonly views: ResolvedViews;
}

/** One picture to decode and augment; the bytes of the batch are shared memory. */
export interface CropTask {
  readonly source: unknown;
  readonly key: SampleKey;
  readonly batch: CropBatch;
  readonly index: number;
}

/** A picture that could not be read. */
export interface CropError {
  readonly code: SslErrorCode;
  /** Names the source. */
  readonly message: string;
  /** What is wrong with it, in a few words, where the decoder says so (`details.reason` of its error). */
  readonly reason?: string;
}

/** Outcome as plain data, since errors lose their fields between threads. */
export interface CropOutcome {
  /** This picture cannot be used; others can. */
  readonly error?: CropError;
  /** Nothing can be decoded. */
  readonly fatal?: Omit<SslErrorInit, 'cause'>;
}

/** A source as text: a path, an address, the `path` of an object, else its JSON. */
export function describeSource(source: unknown): string {
  if (typeof source === 'string') return source;
  if (source instanceof URL) return source.href;
  if (typeof source === 'object' && source !== null && 'path' in source) return String(source.path);
  if (ArrayBuffer.isView(source)) return `${source.byteLength} bytes`;
  return JSON.stringify(source) ?? String(source);
}

function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

function cropError(source: unknown, sample: number, thrown: unknown): CropError {
  const name = describeSource(source);
  const message = textOf(thrown);
  const reason = SslError.is(thrown) ? thrown.details['reason'] : undefined;
  return {
    code: SslError.is(thrown) ? thrown.code : 'IMAGE_UNREADABLE',
    message: message.includes(name) ? message : `${name} (sample ${sample}): ${message}`,
    ...(typeof reason === 'string' ? { reason } : {}),
  };
}

const decoders = new Map<string, Promise<Decode>>();

async function importDecoder(address: string): Promise<Decode> {
  const module = (await import(/* @vite-ignore */ address)) as { readonly decode?: unknown };
  if (typeof module.decode !== 'function') throw new TypeError('the module has no export "decode" that is a function');
  return module.decode as Decode;
}

function loadDecoder(address: string): Promise<Decode> {
  const known = decoders.get(address);
  if (known !== undefined) return known;
  const loading = importDecoder(address);
  decoders.set(address, loading);
  return loading;
}

/** Decodes and augments one picture on this thread. Never throws. */
export async function runCropTask(setup: PoolSetup, { source, key, batch, index }: CropTask): Promise<CropOutcome> {
  let decode: Decode;
  try {
    decode = await loadDecoder(setup.decoder);
  } catch (thrown) {
    return {
      fatal: {
        where: 'augment-multicrop.createCropPool',
        expected: `decoder ${setup.decoder}: an ES module that exports decode(source)`,
        got: textOf(thrown),
        fix: 'pass new URL("./decoder.js", import.meta.url) of such a module',
        details: { decoder: setup.decoder },
      },
    };
  }
  try {
    const image = await decode(source);
    checkImage('augment-multicrop.createCropPool: what decode returned', image);
    renderInto(image, setup.views, key, batch, index);
    return {};
  } catch (thrown) {
    return { error: cropError(source, key.sample, thrown) };
  }
}
