// A list that a log cannot fill: it keeps its first and its last items, which say the most, and counts what it leaves out.

export class HeadTailBuffer<T> {
  readonly #half: number;
  readonly #first: T[] = [];
  /** A ring once it is full. */
  readonly #last: T[] = [];
  #seen = 0;

  /** Keeps `half` items from the front and `half` from the end. */
  constructor(half: number) {
    this.#half = half;
  }

  push(item: T): void {
    if (this.#first.length < this.#half) this.#first.push(item);
    else this.#last[(this.#seen - this.#half) % this.#half] = item;
    this.#seen += 1;
  }

  /** In the order in which they came. */
  items(): T[] {
    const oldest = Math.max(0, this.#seen - this.#half) % this.#half;
    return [...this.#first, ...this.#last.slice(oldest), ...this.#last.slice(0, oldest)];
  }

  get leftOut(): number {
    return this.#seen - this.#first.length - this.#last.length;
  }
}
