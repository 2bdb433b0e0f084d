import { describe, expect, it } from 'vitest';
import { createProgress } from '../../src/terminal/progress.js';

/** A terminal of so many columns; the last line drawn. */
function terminal(columns: number): { stream: NodeJS.WriteStream; line: () => string } {
  let written = '';
  const stream = { isTTY: true, columns, write: (text: string) => ((written += text), true) };
  return {
    stream: stream as unknown as NodeJS.WriteStream,
    line: () => written.split('\x1b[2K').at(-1)?.trimEnd() ?? '',
  };
}

describe('progress', () => {
  it.each([24, 40, 80])('keeps the time left in %i columns', (columns) => {
    const { stream, line } = terminal(columns);
    const progress = createProgress({ label: 'step', total: 9, stream, interval: 0 });
    progress.update(9, 'loss -2.1611 31.3 images/s');
    expect(line()).toMatch(/^step 9\/9.* left 0:00$/);
    expect(line().length).toBeLessThan(columns);
    progress.finish();
  });
});
