/**
 * Images per second of the whole augmentation (2 x 224 + 8 x 96 views) on one core, with the time of JPEG decoding beside it.
 * Build first (npx tsup), then: node bench/multicrop.mjs [preset] [rounds] [folder of photos]
 * The peer on the same photos, torchvision with Pillow: 47.9 images/s (2 cores, AMD Zen 5, one used).
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { MULTI_CROP_PRESETS, multiCrop } from '../dist/index.js';

const [preset = 'simdino', rounds = '5', given] = process.argv.slice(2);
const folder = given ?? fileURLToPath(new URL('../../../../shared/data/photos', import.meta.url));
const config = MULTI_CROP_PRESETS[preset];
sharp.concurrency(1);

const files = (await readdir(folder, { recursive: true })).filter((name) => /\.jpe?g$/i.test(name)).sort();
if (files.length === 0) throw new Error(`no photos in ${folder}`);

async function decode(file) {
  const { data, info } = await sharp(join(folder, file))
    .rotate()
    .removeAlpha()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { data: new Uint8Array(data.buffer, data.byteOffset, data.length), width: info.width, height: info.height };
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const perImage = { decode: [], augment: [] };
const pixels = [];
for (let round = 0; round <= Number(rounds); round++) {
  let [decoding, augmenting] = [0, 0];
  for (const [sample, file] of files.entries()) {
    const start = performance.now();
    const image = await decode(file);
    const decoded = performance.now();
    multiCrop(image, config, { seed: 0, epoch: round, sample });
    decoding += decoded - start;
    augmenting += performance.now() - decoded;
    if (round === 0) pixels.push(image.width * image.height);
  }
  // The first round warms up.
  if (round === 0) continue;
  perImage.decode.push(decoding / files.length);
  perImage.augment.push(augmenting / files.length);
}
const [d, a] = [median(perImage.decode), median(perImage.augment)];
const line = (what, ms) =>
  console.log(`${what.padEnd(20)} ${ms.toFixed(2)} ms/image  ${(1000 / ms).toFixed(1)} images/s`);
console.log(
  `${files.length} photos, median ${median(pixels)} pixels, preset ${preset}, ${config.global.views.length} x ${config.global.size} + ${config.local.count} x ${config.local.size}`,
);
line('decode (sharp)', d);
line('augment', a);
line('decode and augment', d + a);
