// Counts line numbers lazily: most logs have no match, so their lines are never counted.

/** The maximum of buffered uncounted text. */
const maxUncounted = 4 * 1024 * 1024;
const newline = 0x0a;

export class LineCounter {
  readonly #uncounted: Buffer[] = [];
  #uncountedBytes = 0;
  /** The line number of the first uncounted byte. */
  #number = 1;
  /** Counted bytes of the newest block. */
  #counted = 0;

  /** Adds the next block of the log. Bytes of an unfinished line may be repeated. */
  add(block: Buffer): void {
    const last = this.#uncounted.at(-1);
    if (last && this.#counted > 0) {
      this.#uncounted.splice(-1, 1, last.subarray(this.#counted));
      this.#uncountedBytes -= this.#counted;
    }
    this.#counted = 0;
    this.#uncounted.push(block);
    this.#uncountedBytes += block.length;
    while (this.#uncountedBytes > maxUncounted && this.#uncounted.length > 1) this.#countOldest();
  }

  /** The line number, from 1, of byte `at` in the newest block. Must be called in order. */
  numberAt(at: number): number {
    while (this.#uncounted.length > 1) this.#countOldest();
    const block = this.#uncounted[0];
    if (block) this.#number += countNewlines(block, this.#counted, at);
    this.#counted = at;
    return this.#number;
  }

  #countOldest(): void {
    const oldest = this.#uncounted.shift();
    if (!oldest) return;
    this.#number += countNewlines(oldest, 0, oldest.length);
    this.#uncountedBytes -= oldest.length;
  }
}

function countNewlines(bytes: Buffer, from: number, to: number): number {
  let count = 0;
  for (let at = bytes.indexOf(newline, from); at !== -1 && at < to; at = bytes.indexOf(newline, at + 1)) count += 1;
  return count;
}
