import { type HostTensor, SslError } from '@selfsup/core';

/** Input of {@link maskedPatches}. */
export interface MaskedPatchesInput {
  /** 1 where a patch is masked: `[crops, images, patches]`, row-major. */
  readonly masks: ArrayLike<number>;
  /** Global crops per image; 2 by default. */
  readonly crops?: number;
  readonly images: number;
  readonly patches: number;
  /** Contiguous groups of images (virtual ranks); 1 by default. */
  readonly groups?: number;
  /** Number of rows to return; what is left over is padding. The same in all steps, so that one program fits all. */
  readonly capacity: number;
}

/** Rows of masked patches in fixed shapes, for the batch of a step. */
export interface MaskedPatches {
  /** i32 `[capacity]`: places in the flattened `[crops * images * patches]`, ascending; padding points at place 0. */
  readonly indices: HostTensor;
  /** f32 `[capacity]`: 1 / (masked patches of the same crop of the same image), 0 for padding. */
  readonly weights: HostTensor;
  /**
   * f32 `[capacity]`: weights of the patch center's mean, for {@link updateCenter}. The mean of the groups' means, as
   * the authors average over processes; groups without mask are left out, and all are 0 when nothing is masked.
   */
  readonly centerWeights: HostTensor;
  /** Number of masked patches. */
  readonly count: number;
}

/**
 * Lists the masked patches of a batch in arrays whose shapes do not depend on how many there are. Host only.
 *
 * @throws SslError `BAD_OPTION` if there are more than `capacity`, or for sizes that do not fit
 */
export function maskedPatches(input: MaskedPatchesInput): MaskedPatches {
  const { masks, crops = 2, images, patches, groups = 1, capacity } = input;
  checkSizes(masks.length, crops, images, patches, groups);
  const places: number[] = [];
  const perCrop = new Float64Array(crops * images);
  const perGroup = new Float64Array(groups);
  const cropOf = (place: number): number => Math.floor(place / patches);
  const groupOf = (place: number): number => Math.floor(((cropOf(place) % images) * groups) / images);
  for (let place = 0; place < masks.length; place++) {
    if (!masks[place]) continue;
    places.push(place);
    perCrop[cropOf(place)]++;
    perGroup[groupOf(place)]++;
  }
  if (places.length > capacity) throw tooMany(places.length, capacity);
  const maskedGroups = perGroup.filter((count) => count > 0).length;
  const rows = (valueOf: (place: number) => number): HostTensor => {
    const data = new Float32Array(capacity);
    places.forEach((place, row) => (data[row] = valueOf(place)));
    return { shape: [capacity], dtype: 'f32', data };
  };
  const indices = new Int32Array(capacity);
  indices.set(places);
  return {
    indices: { shape: [capacity], dtype: 'i32', data: indices },
    weights: rows((place) => 1 / perCrop[cropOf(place)]),
    centerWeights: rows((place) => 1 / (perGroup[groupOf(place)] * maskedGroups)),
    count: places.length,
  };
}

function checkSizes(length: number, crops: number, images: number, patches: number, groups: number): void {
  if (length === crops * images * patches && Number.isInteger(groups) && groups > 0 && images % groups === 0) return;
  throw new SslError('BAD_OPTION', {
    where: 'ema-distill.maskedPatches',
    expected: `masks of ${crops} x ${images} x ${patches} patches and images divisible by ${groups} groups`,
    got: `${length} entries`,
    fix: 'pass masks [crops, images, patches] and a number of groups that divides the images',
    details: { length, crops, images, patches, groups },
  });
}

function tooMany(count: number, capacity: number): SslError {
  return new SslError('BAD_OPTION', {
    where: 'ema-distill.maskedPatches',
    expected: `at most ${capacity} masked patches`,
    got: `${count}`,
    fix: 'raise the capacity to the largest number the mask generator can give',
    details: { count, capacity },
  });
}
