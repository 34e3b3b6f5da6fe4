// A bounded list that keeps its first and last items and counts the items between them.

export class HeadTailBuffer<T> {
  readonly #half: number;
  readonly #first: T[] = [];
  /** A ring buffer once it is full. */
  readonly #last: T[] = [];
  #seen = 0;

  /** Keeps the first `half` and the last `half` items. */
  constructor(half: number) {
    this.#half = half;
  }

  push(item: T): void {
    if (this.#first.length < this.#half) this.#first.push(item);
    else this.#last[(this.#seen - this.#half) % this.#half] = item;
    this.#seen += 1;
  }

  /** The kept items in insertion order. */
  items(): T[] {
    const oldest = Math.max(0, this.#seen - this.#half) % this.#half;
    return [...this.#first, ...this.#last.slice(oldest), ...this.#last.slice(0, oldest)];
  }

  get leftOut(): number {
    return this.#seen - this.#first.length - this.#last.length;
  }
}
