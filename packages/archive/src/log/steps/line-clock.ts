// Finds lines by time. Timestamps of lines and times of steps come from the runner's clock (PagingLogger.Write,
// ExecutionContext.Start and Complete of actions/runner), which can be set back or forward during a job. So each search has a range of
// lines, and a time may occur more than once.

import { hourMs } from "@actions-archive/core/durations";

import { maxPoints, type Place, type TimePoint, type Times } from "../text/time-points.ts";
import type { JobStep } from "./step-cost.ts";

/** Lines from `from` on and before `before`. */
export type Range = { readonly from: Place; readonly before: Place };

export class LineClock {
  readonly #points: TimePoint[] = [];
  /** The place after the log's last line; undefined if there are no times or some were left out, so that times of lines are unknown. */
  readonly #end: Place | undefined;

  /** `steps`: their times bound those of the log, since a value of several lines may contain a fake timestamp of another day. */
  constructor(times: Times, steps: readonly JobStep[], end: Place) {
    this.#end = times.size > 0 && times.size < maxPoints ? end : undefined;
    let [first, last] = [Infinity, -Infinity];
    for (const { started_at, completed_at } of steps)
      for (const time of [started_at, completed_at]) {
        const ms = time === null ? Number.NaN : Date.parse(time);
        if (Number.isNaN(ms)) continue;
        first = Math.min(first, ms);
        last = Math.max(last, ms);
      }
    for (const point of times) if (point.ms >= first - hourMs && point.ms <= last + hourMs) this.#points.push(point);
  }

  /** The second of the last line with a timestamp; -Infinity if it is unknown. */
  get lastMs(): number {
    return this.#end === undefined ? -Infinity : (this.#points.at(-1)?.ms ?? -Infinity);
  }

  /** The first line of the range whose second is `ms` or later; the range's end if there is none. Undefined if unknown. */
  firstFrom(ms: number, { from, before }: Range): Place | undefined {
    for (let index = this.#indexAt(from); index < this.#points.length; index += 1) {
      const point = this.#points[index];
      if (point === undefined || point.line >= before.line) break;
      if (point.ms >= ms) return point.line > from.line ? point : from;
    }
    return this.#end && before;
  }

  /** The line after the last line of the range whose second is before `ms`. Undefined if unknown. */
  afterLastBefore(ms: number, { from, before }: Range): Place | undefined {
    let after = from;
    for (let index = this.#indexAt(from); index < this.#points.length; index += 1) {
      const point = this.#points[index];
      if (point === undefined || point.line >= before.line) break;
      if (point.ms < ms) after = this.#points[index + 1] ?? this.#end ?? before;
    }
    return this.#end && after;
  }

  /** Whether a line of the range has an earlier timestamp than the one before it. */
  goesBack({ from, before }: Range): boolean {
    for (let index = this.#indexAt(from) + 1; index < this.#points.length; index += 1) {
      const [point, last] = [this.#points[index], this.#points[index - 1]];
      if (point === undefined || last === undefined || point.line >= before.line) return false;
      if (point.ms < last.ms) return true;
    }
    return false;
  }

  /** The last point at or before a line. */
  #indexAt({ line }: Place): number {
    let [low, high] = [0, this.#points.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#points[middle]?.line ?? 0) <= line) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }
}

export function later(a: Place, b: Place): Place {
  return a.line >= b.line ? a : b;
}

export function earlier(a: Place, b: Place): Place {
  return a.line <= b.line ? a : b;
}
