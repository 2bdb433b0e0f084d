/** `1:02:03` or `2:03`. */
export function formatDuration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  const two = (n: number): string => String(n).padStart(2, '0');
  const hours = Math.floor(s / 3600);
  const minutes = Math.floor(s / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`;
}

export interface Progress {
  /** Redraws with the number of steps done and a short text; cheap to call often. */
  update(done: number, text?: string): void;
  /** Ends the line. */
  finish(): void;
}

export interface ProgressOptions {
  readonly label: string;
  readonly total: number;
  /** Steps done before this run (resume); the rate counts new ones only. */
  readonly start?: number;
  readonly stream?: NodeJS.WriteStream;
  /** Milliseconds between redraws on a terminal; ten seconds elsewhere. */
  readonly interval?: number;
}

/** A progress line on stderr with time left: redrawn on a terminal, a plain line every ten seconds elsewhere. */
export function createProgress({
  label,
  total,
  start = 0,
  stream = process.stderr,
  interval,
}: ProgressOptions): Progress {
  const live = stream.isTTY === true;
  const every = interval ?? (live ? 100 : 10_000);
  const began = performance.now();
  let last = live ? -Infinity : began;
  let drawn = false;
  let latest = { done: start, text: '' };

  const draw = (): void => {
    const { done, text } = latest;
    const seconds = (performance.now() - began) / 1000;
    const rate = (done - start) / Math.max(seconds, 1e-9);
    const left = rate > 0 ? formatDuration((total - done) / rate) : '-:--';
    const columns = live ? Math.max(20, stream.columns || 80) : 200;
    const head = `${label} ${done}/${total}`;
    // Where a line is too narrow, the time left stays and the text gives way.
    const textRoom = columns - 1 - head.length - ` left ${left}`.length;
    const tail = `${text === '' ? '' : ` ${text}`.slice(0, Math.max(0, textRoom)).trimEnd()} left ${left}`;
    const room = columns - head.length - tail.length - 4;
    const filled = Math.round((Math.min(done, total) / Math.max(total, 1)) * Math.min(room, 30));
    const bar = live && room >= 8 ? ` ${'#'.repeat(filled)}${'.'.repeat(Math.min(room, 30) - filled)}` : '';
    const line = `${head}${bar}${tail}`.slice(0, columns - 1);
    stream.write(live ? `\r\x1b[2K${line}` : `${line}\n`);
    drawn = true;
  };

  return {
    update(done, text = latest.text) {
      latest = { done, text };
      const now = performance.now();
      if (now - last < every) return;
      last = now;
      draw();
    },
    finish() {
      if (live) {
        draw();
        stream.write('\n');
      } else if (!drawn || latest.done > start) draw();
    },
  };
}
