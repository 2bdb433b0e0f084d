/** Pictures made of what the source says: { width, height, value }. Anything else cannot be decoded. */
export async function decode(source) {
  if (source.path?.endsWith('.broken')) throw new Error('not a picture');
  const data = new Uint8Array(source.width * source.height * 3).map((_, i) => (i * source.value) % 256);
  return { data, width: source.width, height: source.height };
}
