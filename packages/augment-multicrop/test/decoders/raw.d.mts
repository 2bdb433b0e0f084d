export function decode(source: unknown): Promise<{ data: Uint8Array; width: number; height: number }>;
