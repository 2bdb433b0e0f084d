/** Ends its thread when told to. */
export function decode(source) {
  if (source === 'die') process.exit(7);
  return { data: new Uint8Array(300), width: 10, height: 10 };
}
