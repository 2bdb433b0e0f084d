import { SslError } from '@selfsup/core';
import { checkInteger } from './checks.js';
import { resolveViews, type MultiCropConfig, type ResolvedView, type ResolvedViews } from './config.js';
import { checkSampleKey, drawView, type SampleKey, type ViewDraw } from './draw-view.js';
import { CHANNELS, checkImage, type RgbImage } from './image.js';
import { workbench } from './kernels/workbench.js';
import { applyJitter, applySolarize } from './operations/color.js';
import { BLURS, DEFAULT_BLUR_TAPS } from './operations/gaussian-blur.js';

/** Views of one picture: bytes `[size, size, 3]`, not normalised. */
export interface Crops {
  readonly global: readonly Uint8Array[];
  readonly local: readonly Uint8Array[];
}

/** Views of several pictures as a training step takes them: row = view * images + image ("crop-major"). */
export interface CropBatch {
  /** Number of pictures, B. */
  readonly images: number;
  /** u8 `[global views * B, size, size, 3]` */
  readonly global: Uint8Array;
  /** u8 `[local views * B, size, size, 3]`; empty without local views. */
  readonly local: Uint8Array;
}

/** Bytes of one view. */
function viewBytes({ size }: { readonly size: number }): number {
  return size * size * CHANNELS;
}

/** Bytes of a kind of views for a number of pictures. */
function batchBytes(views: readonly ResolvedView[], images: number): number {
  return views.reduce((sum, view) => sum + viewBytes(view) * images, 0);
}

/** Runs a drawn view: crop, flip, jitter, grey, blur, solarize. */
function render(image: RgbImage, view: ResolvedView, draw: ViewDraw, out: Uint8Array): void {
  const bench = workbench();
  bench.loadResized(image, draw.box, view.size, view.size, view.interpolation);
  if (draw.flip) bench.flip();
  applyJitter(bench, draw.jitter);
  if (draw.grayscale) bench.grayscale();
  if (draw.blurSigma !== undefined) BLURS[view.blurKernel](bench, draw.blurSigma, DEFAULT_BLUR_TAPS);
  if (draw.solarize) applySolarize(bench, view.solarizeThreshold);
  bench.store(out);
}

/** Draws and runs all views of a picture; `place` says where each goes. @internal */
export function renderViews(
  image: RgbImage,
  views: ResolvedViews,
  key: SampleKey,
  place: (kind: 'global' | 'local', index: number) => Uint8Array,
): void {
  checkImage('augment-multicrop.multiCrop', image);
  checkSampleKey('multiCrop', key);
  for (const kind of ['global', 'local'] as const) {
    views[kind].forEach((view, i) => {
      render(image, view, drawView(view, kind, i, key, image.width, image.height), place(kind, i));
    });
  }
}

/**
 * Random views of one picture, the same for the same seed, epoch and sample on every machine, in any order.
 *
 * @param image - RGB; sizes from 1 x 1 up, smaller than the views too (they are enlarged).
 * @param config - E.g. `MULTI_CROP_PRESETS.simdino` or what `multiCropConfig` gives.
 * @param key - Seed, epoch and index of the sample.
 * @returns fresh bytes `[size, size, 3]` per view, in the order of the configuration
 * @throws SslError `BAD_OPTION` on a configuration or key out of range, `SHAPE_MISMATCH` on something that is not RGB
 *
 * @example
 * const { global, local } = multiCrop(image, MULTI_CROP_PRESETS.simdino, { seed: 0, epoch: 3, sample: 17 });
 */
export function multiCrop(image: RgbImage, config: MultiCropConfig, key: SampleKey): Crops {
  const views = resolveViews(config);
  const fresh = (view: ResolvedView): Uint8Array => new Uint8Array(viewBytes(view));
  const crops: Crops = { global: views.global.map(fresh), local: views.local.map(fresh) };
  renderViews(image, views, key, (kind, i) => crops[kind][i]);
  return crops;
}

/**
 * Memory for the views of a batch, shared between threads where the platform has shared memory.
 *
 * @param images - Number of pictures, at least 1.
 * @throws SslError `BAD_OPTION`
 */
export function allocateCrops(config: MultiCropConfig, images: number): CropBatch {
  checkInteger('allocateCrops', 'images', images, 1);
  const { global, local } = resolveViews(config);
  const room = (views: readonly ResolvedView[]): Uint8Array => {
    const bytes = batchBytes(views, images);
    return new Uint8Array(
      typeof SharedArrayBuffer === 'undefined' ? new ArrayBuffer(bytes) : new SharedArrayBuffer(bytes),
    );
  };
  return { images, global: room(global), local: room(local) };
}

/** Writes the views of one picture into its rows of a batch. @internal */
export function renderInto(
  image: RgbImage,
  views: ResolvedViews,
  key: SampleKey,
  batch: CropBatch,
  index: number,
): void {
  renderViews(image, views, key, (kind, i) => {
    const bytes = viewBytes(views[kind][i]);
    const start = (i * batch.images + index) * bytes;
    return batch[kind].subarray(start, start + bytes);
  });
}

/** @throws SslError `SHAPE_MISMATCH` unless the batch has room for these views and the index is one of its pictures */
export function checkBatch(where: string, batch: CropBatch, views: ResolvedViews, index: number): void {
  const global = batchBytes(views.global, batch.images);
  const local = batchBytes(views.local, batch.images);
  const inside = Number.isInteger(index) && index >= 0 && index < batch.images;
  if (inside && batch.global.length === global && batch.local.length === local) return;
  throw new SslError('SHAPE_MISMATCH', {
    where: `augment-multicrop.${where}`,
    expected: `${global} global and ${local} local bytes for ${batch.images} pictures, index 0..${batch.images - 1}`,
    got: `${batch.global.length} and ${batch.local.length}, index ${index}`,
    fix: 'make the batch with allocateCrops and the configuration of the pool',
    details: { images: batch.images, index },
  });
}
