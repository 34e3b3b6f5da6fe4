// Records the first line of each second of a log, which finds lines by time without a timestamp for every line.

import { daySeconds } from "@actions-archive/core/durations";

import type { Line, LineText } from "./line-scanner.ts";

export type Place = {
  /** From 1. */
  readonly line: number;
  /** Byte offset in the log. */
  readonly offset: number;
};

/** `ms`: a whole second. */
export type TimePoint = Place & { readonly ms: number };

export type Times = Iterable<TimePoint> & { readonly size: number };

/** More than a day of continuous output; GitHub-hosted runners limit a job to six hours. */
export const maxPoints = 100_000;

/** Numbers per point: milliseconds, line, offset. A hundred thousand objects would take 7 MB for a log. */
const fields = 3;

export class TimePoints implements Times {
  #values = new Float64Array(256 * fields);
  #count = 0;
  #second = -1;
  #ms = Number.NaN;

  /** Call for every line. @returns whether a day begins, so that `addDay` needs the line's text. */
  take({ second, number, start }: Line): boolean {
    if (second === this.#second || second === -1) return false;
    if (Math.floor(second / daySeconds) !== Math.floor(this.#second / daySeconds)) return true;
    this.#add(second, this.#ms + (second - this.#second) * 1000, { line: number, offset: start });
    return false;
  }

  /** Adds the first line of a day. */
  addDay({ second, time, number, start }: LineText): void {
    if (second === -1 || time === undefined || Math.floor(second / daySeconds) === Math.floor(this.#second / daySeconds)) return;
    this.#add(second, Math.floor(Date.parse(time) / 1000) * 1000, { line: number, offset: start });
  }

  get size(): number {
    return this.#count;
  }

  /** The points in the order of the log. They are created on demand: keep this object rather than an array of them. */
  *[Symbol.iterator](): Generator<TimePoint, void, undefined> {
    for (let at = 0; at < this.#count * fields; at += fields)
      yield { ms: this.#values[at] ?? 0, line: this.#values[at + 1] ?? 0, offset: this.#values[at + 2] ?? 0 };
  }

  #add(second: number, ms: number, { line, offset }: Place): void {
    this.#second = second;
    this.#ms = ms;
    if (this.#count === maxPoints || Number.isNaN(ms)) return;
    const at = this.#count * fields;
    if (at === this.#values.length) this.#grow();
    this.#values[at] = ms;
    this.#values[at + 1] = line;
    this.#values[at + 2] = offset;
    this.#count += 1;
  }

  #grow(): void {
    const larger = new Float64Array(2 * this.#values.length);
    larger.set(this.#values);
    this.#values = larger;
  }
}
