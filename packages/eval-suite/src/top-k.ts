/**
 * The k largest of a stream of numbers for each of several rows, as binary heaps in two typed arrays. Among equal
 * numbers the lower index wins, whatever the order they come in.
 */
export class TopK {
  readonly #values: Float32Array;
  readonly #indices: Int32Array;
  readonly #counts: Int32Array;

  constructor(
    readonly rows: number,
    readonly k: number,
  ) {
    this.#values = new Float32Array(rows * k);
    this.#indices = new Int32Array(rows * k);
    this.#counts = new Int32Array(rows);
  }

  /** Takes note of `value` under `index` for a row. */
  offer(row: number, index: number, value: number): void {
    const base = row * this.k;
    const count = this.#counts[row];
    if (count < this.k) {
      this.#set(base + count, value, index);
      this.#counts[row]++;
      this.#raise(base, count);
    } else if (this.#isWorse(base, value, index)) {
      this.#set(base, value, index);
      this.#sink(base, 0, count);
    }
  }

  /** Indices and values in descending order, `[rows, k]` each; nothing may be offered afterwards. */
  finish(): { indices: Int32Array; values: Float32Array } {
    for (let row = 0; row < this.rows; row++) {
      const base = row * this.k;
      // Heap sort: the worst of what is left goes to the end.
      for (let last = this.#counts[row] - 1; last > 0; last--) {
        this.#swap(base, base + last);
        this.#sink(base, 0, last);
      }
    }
    return { indices: this.#indices, values: this.#values };
  }

  /** Whether the kept entry at a place ranks below the given one. */
  #isWorse(place: number, value: number, index: number): boolean {
    const kept = this.#values[place];
    return kept < value || (kept === value && this.#indices[place] > index);
  }

  #set(place: number, value: number, index: number): void {
    this.#values[place] = value;
    this.#indices[place] = index;
  }

  #swap(a: number, b: number): void {
    const value = this.#values[a];
    const index = this.#indices[a];
    this.#set(a, this.#values[b], this.#indices[b]);
    this.#set(b, value, index);
  }

  /** The worst entry is kept on top; moves an entry up while it is worse than its parent. */
  #raise(base: number, start: number): void {
    let at = start;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isWorse(base + at, this.#values[base + parent], this.#indices[base + parent])) return;
      this.#swap(base + at, base + parent);
      at = parent;
    }
  }

  #sink(base: number, start: number, count: number): void {
    let at = start;
    for (;;) {
      let worst = at;
      for (let child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++) {
        if (this.#isWorse(base + child, this.#values[base + worst], this.#indices[base + worst])) worst = child;
      }
      if (worst === at) return;
      this.#swap(base + at, base + worst);
      at = worst;
    }
  }
}
