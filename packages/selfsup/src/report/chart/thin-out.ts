import { isDrawable } from './scale.js';

/** A point of a curve: x and y. */
export type Point = readonly [number, number];

/**
 * At most about `most` points that draw the same curve: of every stretch the lowest and the highest stay, so that no
 * spike is lost, and the first and the last point stay where they are. Points without a place on the axis are gaps; of every stretch one stays.
 */
export function thinOut(points: readonly Point[], most: number): readonly Point[] {
  if (points.length <= most) return points;
  const stretches = Math.max(1, Math.floor((most - 2) / 2));
  const inner = points.length - 2;
  const kept: Point[] = [points[0]];
  for (let s = 0; s < stretches; s++) {
    const from = 1 + Math.floor((s * inner) / stretches);
    const to = 1 + Math.floor(((s + 1) * inner) / stretches);
    let [low, high] = [from, from];
    let gap: number | undefined;
    for (let i = from; i < to; i++) {
      const y = points[i][1];
      if (!isDrawable(y)) gap ??= i;
      if (y < points[low][1] || !isDrawable(points[low][1])) low = i;
      if (y > points[high][1] || !isDrawable(points[high][1])) high = i;
    }
    const chosen = [...new Set([low, high, ...(gap === undefined ? [] : [gap])])].sort((a, b) => a - b);
    for (const i of chosen) kept.push(points[i]);
  }
  kept.push(points[points.length - 1]);
  return kept;
}
