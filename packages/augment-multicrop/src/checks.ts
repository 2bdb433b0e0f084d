import { SslError } from '@selfsup/core';

/** @throws SslError `BAD_OPTION` always */
export function refuse(where: string, name: string, rule: string, value: unknown): never {
  throw new SslError('BAD_OPTION', {
    where: `augment-multicrop.${where}`,
    expected: `${name} to be ${rule}`,
    got: typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? String(value)),
    fix: `set ${name} to ${rule}`,
    details: { option: name, value },
  });
}

/** @throws SslError `BAD_OPTION` unless `value` is an integer in [low, high] */
export function checkInteger(where: string, name: string, value: number, low: number, high = Infinity): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  refuse(where, name, high === Infinity ? `an integer of at least ${low}` : `an integer in ${low}..${high}`, value);
}

/** @throws SslError `BAD_OPTION` unless `value` is a number in [low, high] */
export function checkNumber(where: string, name: string, value: number, low: number, high = Infinity): void {
  if (Number.isFinite(value) && value >= low && value <= high) return;
  refuse(where, name, high === Infinity ? `a number of at least ${low}` : `a number in ${low}..${high}`, value);
}

/** @throws SslError `BAD_OPTION` unless `value` is a pair low <= high inside [least, most] */
export function checkInterval(
  where: string,
  name: string,
  value: readonly [number, number],
  { above = -Infinity, least = -Infinity, most = Infinity }: { above?: number; least?: number; most?: number },
): void {
  const [low, high] = Array.isArray(value) && value.length === 2 ? value : [NaN, NaN];
  if (low <= high && low > above && low >= least && high <= most && Number.isFinite(high)) return;
  const bounds = [
    above === -Infinity ? '' : ` above ${above}`,
    least === -Infinity ? '' : ` from ${least}`,
    most === Infinity ? '' : ` up to ${most}`,
  ];
  refuse(where, name, `an interval [low, high] with low <= high${bounds.join('')}`, value);
}
