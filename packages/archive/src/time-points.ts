// The first line of each second of a log's time: what tells, without a time for every line, which lines came before an instant.

import type { Line, LineText } from "./line-scanner.ts";

export type Place = {
  /** From 1. */
  readonly line: number;
  /** In the log's bytes. */
  readonly offset: number;
};

export type TimePoint = Place & { readonly ms: number };

/** Over a day of a job that prints all the time; a job's own limit is six hours on GitHub's runners. */
const maxPoints = 100_000;

export class TimePoints {
  readonly #points: TimePoint[] = [];
  #second = -1;

  /** Whether a second begins with this line, so that its text is wanted. */
  isNew({ second }: Line): boolean {
    return second !== this.#second && second !== -1 && this.#points.length < maxPoints;
  }

  add(line: LineText): void {
    if (!this.isNew(line) || line.time === undefined) return;
    this.#second = line.second;
    const ms = Date.parse(line.time);
    if (!Number.isNaN(ms)) this.#points.push({ ms, line: line.number, offset: line.start });
  }

  items(): readonly TimePoint[] {
    return this.#points;
  }
}
