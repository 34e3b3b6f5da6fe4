// The first line of each second of a log's time: what tells, without a time for every line, which lines came before an instant.

import type { Line, LineText } from "./line-scanner.ts";

export type Place = {
  /** From 1. */
  readonly line: number;
  /** In the log's bytes. */
  readonly offset: number;
};

/** `ms`: a whole second. */
export type TimePoint = Place & { readonly ms: number };

/** Over a day of a job that prints all the time; a job's own limit is six hours on GitHub's runners. */
export const maxPoints = 100_000;
const daySeconds = 86_400;

export class TimePoints {
  readonly #points: TimePoint[] = [];
  #second = -1;
  #ms = Number.NaN;

  /** Call for every line. @returns whether `addDay` needs the line's text: a day begins with it. */
  take({ second, number, start }: Line): boolean {
    if (second === this.#second || second === -1) return false;
    if (Math.floor(second / daySeconds) !== Math.floor(this.#second / daySeconds)) return true;
    this.#add(second, this.#ms + (second - this.#second) * 1000, { line: number, offset: start });
    return false;
  }

  addDay({ second, time, number, start }: LineText): void {
    if (second === -1 || time === undefined || Math.floor(second / daySeconds) === Math.floor(this.#second / daySeconds)) return;
    this.#add(second, Math.floor(Date.parse(time) / 1000) * 1000, { line: number, offset: start });
  }

  items(): readonly TimePoint[] {
    return this.#points;
  }

  #add(second: number, ms: number, { line, offset }: Place): void {
    this.#second = second;
    this.#ms = ms;
    if (this.#points.length < maxPoints && !Number.isNaN(ms)) this.#points.push({ ms, line, offset });
  }
}
