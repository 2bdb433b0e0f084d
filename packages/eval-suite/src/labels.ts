import { SslError } from '@selfsup/core';

/** Checks the classes of some rows. @throws SslError `SHAPE_MISMATCH`, `BAD_DATA` for a label outside the classes */
export function checkLabels(
  where: string,
  name: string,
  labels: ArrayLike<number>,
  rows: number,
  classes: number,
): void {
  if (labels.length !== rows) {
    throw new SslError('SHAPE_MISMATCH', {
      where,
      expected: `${rows} ${name}`,
      got: String(labels.length),
      fix: 'pass one label per row of features',
    });
  }
  for (let i = 0; i < rows; i++) {
    if (Number.isInteger(labels[i]) && labels[i] >= 0 && labels[i] < classes) continue;
    throw new SslError('BAD_DATA', {
      where,
      expected: `${name} from 0 to ${classes - 1}`,
      got: `${labels[i]} at ${i}`,
      fix: 'number the classes from 0 and pass how many there are',
      details: { index: i, label: labels[i], classes },
    });
  }
}
