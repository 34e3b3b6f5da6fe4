// Splits a log into the steps of its job. Every line is in exactly one section; a section without a step's number holds what
// cannot be attributed: lines before the runner began, and the stretch between two steps where the border is not certain.

import { type Alignment, alignSteps } from "./align-steps.ts";
import type { LogTotals } from "./log-format.ts";
import type { Section } from "./record.ts";
import type { JobStep, Step } from "./step-fit.ts";
import type { StepMark } from "./step-marks.ts";
import { maxPoints, type Place, type TimePoint, type Times } from "./time-points.ts";

/** A step's lines begin at `from` at the earliest and at `to` at the latest, and end before `end`. */
type Border = { readonly step: Step; readonly from: Place; readonly to: Place; readonly end: Place };

/** Times of steps are off by less than this. */
const slackMs = 1000;

/** Pure. `steps`: of the job object, in any order, with whatever GitHub left out. */
export function splitLog(
  { text, lines, rawBytes }: Pick<LogTotals, "text" | "lines" | "rawBytes">,
  steps: readonly JobStep[],
): Section[] {
  const end = { line: lines + 1, offset: rawBytes };
  const borders = findBorders(alignSteps(marksOf(text), steps), new Clock(text.times, steps, end), end);
  return toSections(borders, end);
}

// Errors are kept as annotations; a step that fails before it begins has nothing else.
function marksOf({ marks, annotations }: LogTotals["text"]): StepMark[] {
  const errors = annotations
    .filter(({ level, message }) => level === "error" && !message.startsWith("Process completed with exit code"))
    .map(({ line_number, start, time }) => ({
      kind: "error" as const,
      line: line_number,
      offset: start,
      ms: time === undefined ? undefined : Date.parse(time),
      title: "",
      isNested: false,
      after: undefined,
      head: undefined,
      holdsMarks: false,
    }));
  return [...marks, ...errors].toSorted((a, b) => a.line - b.line);
}

function findBorders(alignments: readonly Alignment[], clock: Clock, end: Place): Border[] {
  const audible = alignments.filter(({ step, marks }) => marks.length > 0 || !(step.isSilent || !step.isListed));
  const borders: Border[] = [];
  // After the last line that is certainly an earlier step's.
  let earliest: Place = { line: 1, offset: 0 };
  for (const [index, { step, marks, isDoubtful }] of audible.entries()) {
    const [first, last] = [marks[0], marks.at(-1)];
    const free = clock.free(step, audible.slice(0, index));
    if (first !== undefined && last !== undefined && !isDoubtful) {
      const head = last.after ?? last;
      borders.push({ step, from: first, to: later(last, free), end: later(clock.end(step, last), head) });
      earliest = later(earliest, head);
    } else {
      const next = audible.slice(index + 1).find((other) => !other.isDoubtful)?.marks[0];
      const [from, to] = clock.start(step) ?? [earliest, next ?? end];
      // A mark that may be its own is nobody's for certain.
      const [low, high] = [earlier(from, first ?? from), later(to, last?.after ?? last ?? to)];
      borders.push({ step, from: later(low, earliest), to: later(later(high, earliest), free), end: clock.end(step, undefined) });
    }
  }
  return borders;
}

/** Certain stretches in order, and between them what is nobody's for certain. */
function toSections(borders: readonly Border[], end: Place): Section[] {
  const sections: Section[] = [];
  let at: Place = { line: 1, offset: 0 };
  const add = (number: number | null, to: Place) => {
    if (to.line <= at.line) return;
    const last = sections.at(-1);
    const [line_count, raw_bytes] = [to.line - at.line, to.offset - at.offset];
    if (number === null && last?.step_number === null)
      sections.splice(-1, 1, { ...last, line_count: last.line_count + line_count, raw_bytes: last.raw_bytes + raw_bytes });
    else sections.push({ step_number: number, first_line: at.line, line_count, raw_start: at.offset, raw_bytes });
    at = to;
  };
  // The earliest that any later step may begin, from the back.
  const limits: Place[] = [];
  let limit = end;
  for (const { from } of borders.toReversed()) {
    limits.unshift(limit);
    limit = earlier(limit, from);
  }
  for (const [index, border] of borders.entries()) {
    add(null, earlier(border.to, end));
    add(border.step.isListed ? border.step.number : null, earlier(border.end, limits[index] ?? end));
  }
  add(null, end);
  return sections;
}

/** Finds places by time, in the part of the log's times that fits the job and never goes back. */
class Clock {
  readonly #points: TimePoint[] = [];

  /** What is after the last line of the log; undefined when times were left out, and nobody knows what came when. */
  readonly #end: Place | undefined;

  constructor(times: Times, steps: readonly JobStep[], end: Place) {
    this.#end = times.size > 0 && times.size < maxPoints ? end : undefined;
    const known = steps
      .flatMap(({ started_at, completed_at }) => [started_at, completed_at])
      .flatMap((time) => (time === null ? [] : [Date.parse(time)]));
    const [first, last] = known.reduce(([low, high], ms) => [Math.min(low, ms), Math.max(high, ms)], [Infinity, -Infinity]);
    let highest = -Infinity;
    for (const point of times) {
      // A value of several lines may hold what looks like a line of another day.
      if (point.ms < first - 3_600_000 || point.ms > last + 3_600_000 || point.ms < highest) continue;
      highest = point.ms;
      this.#points.push(point);
    }
  }

  /** Where a step that left no mark began, at the earliest and at the latest. */
  start({ startMs }: Step): readonly [Place, Place] | undefined {
    if (startMs === undefined) return undefined;
    const [from, to] = [this.#firstAt(startMs - slackMs), this.#firstAt(startMs + slackMs)];
    return from === undefined || to === undefined ? undefined : [from, to];
  }

  /** Where all earlier steps have ended: those that run in the background print into the log of the steps after them. */
  free({ startMs }: Step, earlierOnes: readonly Alignment[]): Place {
    const ends = earlierOnes.flatMap(({ step: { endMs } }) => endMs ?? []);
    const last = ends.reduce((latest, endMs) => Math.max(latest, endMs), -Infinity);
    const isBusy = startMs !== undefined && last > startMs + slackMs;
    return (isBusy ? this.#firstAt(last + slackMs) : undefined) ?? { line: 1, offset: 0 };
  }

  /** Before which line a step ended for certain; the end of all when its times are not to be trusted. */
  end({ startMs, endMs }: Step, mark: StepMark | undefined): Place {
    const isClose = mark?.ms === undefined || startMs === undefined || Math.abs(mark.ms - startMs) < 3 * slackMs;
    return (endMs !== undefined && isClose ? this.#firstAt(endMs + slackMs) : undefined) ?? { line: Infinity, offset: Infinity };
  }

  #firstAt(ms: number): Place | undefined {
    let [low, high] = [0, this.#points.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#points[middle]?.ms ?? 0) < ms) low = middle + 1;
      else high = middle;
    }
    return this.#points[low] ?? this.#end;
  }
}

function later(a: Place, b: Place): Place {
  return a.line >= b.line ? a : b;
}

function earlier(a: Place, b: Place): Place {
  return a.line <= b.line ? a : b;
}
