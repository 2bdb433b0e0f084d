/** Forgets two channels. */
export const decode = () => ({ data: new Uint8Array(100), width: 10, height: 10 });
