// src/demo/emoji.ts
import { createRequire } from "node:module";
import sharp from "sharp";
import { datasetFrom } from "@selfsup/datasets";
import { Rng } from "@selfsup/core";
var SETS = ["@iconify-json/noto", "@iconify-json/fluent-emoji-flat"];
var TONE = /-(?:(?:light|medium-light|medium|medium-dark|dark)(?:-skin-tone)?)$/;
var HELD_OUT = 1 / 5;
function drawingOf(name) {
  return name.replace(/-skin-tone(?:-.*)?$/, "").replace(/\b(?:wo)?m[ae]n\b|\bperson\b|\bpeople\b|\bboys?\b|\bgirls?\b/g, "person").replace(/^(?:person-)+|(?:-person)+$/g, "");
}
function isHeldOut(drawing) {
  return Rng.of(hash(drawing), "demo.hold-out").uniform() < HELD_OUT;
}
function hash(text) {
  let h = 7;
  for (let i = 0; i < text.length; i++) h = Math.imul(h, 31) + text.charCodeAt(i) >>> 0;
  return h;
}
function listEmoji() {
  const require2 = createRequire(import.meta.url);
  const emoji = [];
  const classes = [];
  for (const set of SETS) {
    const { icons, width, height } = require2(`${set}/icons.json`);
    const { categories } = require2(`${set}/metadata.json`);
    for (const [category, names] of Object.entries(categories)) {
      if (!classes.includes(category)) classes.push(category);
      for (const name of names) {
        const icon = icons[name];
        if (icon === void 0 || /skin-tone/.test(name) || TONE.test(name) && name.replace(TONE, "") in icons)
          continue;
        const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}">${icon.body}</svg>`;
        emoji.push({ set, name, label: classes.indexOf(category), svg });
      }
    }
  }
  return { emoji, classes };
}
async function loadEmoji(size, onProgress = () => void 0) {
  const { emoji, classes } = listEmoji();
  const bytes = size * size * 3;
  const pixels = new Uint8Array(new SharedArrayBuffer(emoji.length * bytes));
  let next = 0;
  let done = 0;
  const draw = async () => {
    while (next < emoji.length) {
      const i = next++;
      const raw = await sharp(Buffer.from(emoji[i].svg), { density: 96 }).resize(size, size, { fit: "contain", background: "#fff" }).flatten({ background: "#fff" }).toColourspace("srgb").raw().toBuffer();
      pixels.set(raw, i * bytes);
      onProgress(++done, emoji.length);
    }
  };
  await Promise.all([draw(), draw(), draw(), draw()]);
  const part = (split) => datasetFrom(
    emoji.flatMap(({ set, name, label }, i) => {
      const data = pixels.subarray(i * bytes, (i + 1) * bytes);
      const inPart = isHeldOut(drawingOf(name)) === (split === "test");
      return inPart ? [{ source: { kind: "rgb", data, width: size, height: size }, label, name: `${set}/${name}` }] : [];
    }),
    { kind: "emoji", split, classes }
  );
  return { train: await part("train"), test: await part("test"), size };
}
export {
  drawingOf,
  isHeldOut,
  loadEmoji
};
