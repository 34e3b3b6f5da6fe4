// Splits a log into the steps of its job. Every line is in exactly one section. A section without a step number contains lines that
// cannot be attributed: before the runner began, at an uncertain border between two steps, or possibly printed by a background step.

import type { Section } from "../../record/record.ts";
import type { LogTotals } from "../log-format.ts";
import type { StepMark } from "../text/step-marks.ts";
import type { Place } from "../text/time-points.ts";
import { type Alignment, alignSteps } from "./align-steps.ts";
import { type Busy, busyRanges, certainMark, type Scene, slackMs, withoutQueued } from "./background-steps.ts";
import { isExit } from "./failed-steps.ts";
import { earlier, later, LineClock } from "./line-clock.ts";
import { canBegin, type JobStep, type Step } from "./step-cost.ts";

/** A step's lines begin between `from` and `to`, and end before `end`. */
type Border = {
  readonly step: Step;
  readonly from: Place;
  readonly to: Place;
  readonly end: Place;
  /** The step's first line, if it is certain. */
  readonly mark: StepMark | undefined;
};

/** Consecutive lines that are certainly a step's. */
export type Stretch = { readonly step: Step; readonly from: Place; readonly to: Place };

type Totals = Pick<LogTotals, "text" | "lines" | "rawBytes">;

const start: Place = { line: 1, offset: 0 };

/** Splits the log into sections. Pure. @param steps the job object's steps, in any order, possibly incomplete. */
export function splitLog(totals: Totals, steps: readonly JobStep[]): Section[] {
  return sectionsOf(stretchesOf(totals, steps), { line: totals.lines + 1, offset: totals.rawBytes });
}

/** All lines that are certainly a step's. A step has several stretches if background steps print between its lines. */
export function stretchesOf({ text, lines, rawBytes }: Totals, steps: readonly JobStep[]): Stretch[] {
  const end = { line: lines + 1, offset: rawBytes };
  const clock = new LineClock(text.times, steps, end);
  const marks = marksOf(text, clock);
  const scene = { marks, clock, end, isCut: mayHideBackground(text) };
  const found = alignSteps(marks, steps, clock.lastMs).filter(({ step, marks: own }) => own.length > 0 || isAudible(step));
  const alignments = withoutQueued(withoutInner(found), busyRanges(found, scene));
  const busy = busyRanges(alignments, scene);
  const borders = findBorders(alignments, scene);
  return claimLines(borders, busy, end);
}

/**
 * Marks open steps as doubtful. The last step of a truncated log may have no line in it. The line that resembles its first can be inside
 * a composite action before it, or be the first line of the step before it if that was not found.
 */
function withoutInner(alignments: readonly Alignment[]): Alignment[] {
  return alignments.map((alignment, index) => {
    const before = alignments[index - 1];
    const isSure = before !== undefined && certainMark(before)?.holdsMarks === false;
    return alignment.step.isOpen && !isSure ? { ...alignment, isDoubtful: true } : alignment;
  });
}

/** Converts the stretches to sections of a record, with unassigned sections between them. */
export function sectionsOf(stretches: readonly Stretch[], end: Place): Section[] {
  const sections: Section[] = [];
  let at = start;
  const add = (step_number: number | null, to: Place) => {
    if (to.line <= at.line) return;
    sections.push({
      step_number,
      first_line: at.line,
      line_count: to.line - at.line,
      raw_start: at.offset,
      raw_bytes: to.offset - at.offset,
    });
    at = to;
  };
  for (const { step, from, to } of stretches) {
    if (!step.isListed) continue;
    add(null, from);
    add(step.number, to);
  }
  add(null, end);
  return sections;
}

function isAudible({ isSilent, isPending, isListed }: Step): boolean {
  return isListed && !isSilent && !isPending;
}

// Adds errors, which are stored as annotations, since a step that fails before it begins prints nothing else.
function marksOf({ marks, annotations }: LogTotals["text"], clock: LineClock): StepMark[] {
  const exits = new Set(annotations.flatMap(({ message, line_number }) => (isExit(message) ? line_number : [])));
  // With background steps an error may be of any of them.
  const hasBackground = marks.some(({ kind }) => kind === "control");
  const errors = (hasBackground ? [] : annotations)
    .filter(({ level, message, line_number }) => level === "error" && !isExit(message) && !exits.has(line_number + 1))
    .map(({ line_number, start: offset, end, time }) => {
      const from = { line: line_number, offset };
      return {
        kind: "error" as const,
        ...from,
        own: { from, to: { line: line_number + 1, offset: end } },
        ms: time === undefined ? undefined : Date.parse(time),
        title: "",
        isNested: false,
        after: undefined,
        head: undefined,
        holdsMarks: false,
      };
    });
  // If the clock was set back between a step's start and its first line, the two times cannot be compared.
  return [...marks, ...errors]
    .toSorted((a, b) => a.line - b.line)
    .map((mark, index, all) =>
      clock.goesBack({ from: all[index - 1] ?? start, before: mark.own.to }) ? { ...mark, ms: undefined } : mark,
    );
}

/** A log without the runner's final lines may lack the line that names the background steps. */
function mayHideBackground({ marks, runner }: LogTotals["text"]): boolean {
  if (marks.some(({ kind }) => kind === "complete")) return false;
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(runner.version ?? "") ?? [];
  return major === undefined || Number(major) > 2 || Number(minor) >= firstMinorWithBackground;
}

const firstMinorWithBackground = 335;

function findBorders(alignments: readonly Alignment[], { marks, clock, end }: Scene): Border[] {
  const borders: Border[] = [];
  // The place after the last line that is certainly an earlier step's.
  let earliest = start;
  for (const [index, alignment] of alignments.entries()) {
    const { step, isDoubtful } = alignment;
    const [first, last] = [alignment.marks[0], alignment.marks.at(-1)];
    const next = alignments.slice(index + 1).find((other) => !other.isDoubtful && !other.step.isPending)?.marks[0] ?? end;
    if (step.isPending) {
      // Lines after the first where it may begin are unassigned, since it may never have begun.
      const possible = marks.find((mark) => mark.line >= earliest.line && mark.line < next.line && canBegin(step, mark));
      if (possible !== undefined) borders.push({ step, from: possible, to: next, end: next, mark: undefined });
    } else if (first !== undefined && last !== undefined && !isDoubtful) {
      const head = last.after ?? last;
      const ended = endOf(step, last, clock, next);
      borders.push({ step, from: first, to: last, end: later(ended, head), mark: certainMark(alignment) });
      // The next step can begin right after this step's head.
      earliest = later(earliest, first.after ?? first);
    } else {
      const range = { from: earliest, before: later(earliest, next) };
      const [from, by] = (step.startMs === undefined ? undefined : startOf(step.startMs, clock, range)) ?? [
        range.from,
        range.before,
      ];
      // A mark that may be this step's is not certainly another's.
      const [low, high] = [earlier(from, first ?? from), later(by, last?.after ?? last ?? by)];
      // A step that has not ended may have printed nothing.
      const to = step.isOpen ? range.before : later(high, earliest);
      borders.push({ step, from: later(low, earliest), to, end: endOf(step, undefined, clock, next), mark: undefined });
    }
  }
  return borders;
}

/** The earliest and the latest place where a step without a mark began. */
function startOf(startMs: number, clock: LineClock, range: { from: Place; before: Place }): readonly [Place, Place] | undefined {
  const [from, to] = [clock.firstFrom(startMs - slackMs, range), clock.afterLastBefore(startMs + slackMs, range)];
  return from === undefined || to === undefined ? undefined : [from, earlier(to, range.before)];
}

/** The line before which a step has certainly ended; infinite if its times are not reliable. */
function endOf({ startMs, endMs }: Step, mark: StepMark | undefined, clock: LineClock, next: Place): Place {
  const isClose = mark?.ms === undefined || startMs === undefined || Math.abs(mark.ms - startMs) < 3 * slackMs;
  const ended =
    endMs !== undefined && isClose ? clock.afterLastBefore(endMs + slackMs, { from: mark ?? start, before: next }) : undefined;
  return ended ?? { line: Infinity, offset: Infinity };
}

/** The certain lines of each step between its border and the next, without lines that a background step may have printed. */
function claimLines(borders: readonly Border[], busy: readonly Busy[], end: Place): Stretch[] {
  const stretches: Stretch[] = [];
  // The earliest place where any later step may begin, computed from the end.
  const limits: Place[] = [];
  let limit = end;
  for (const { from } of borders.toReversed()) {
    limits.unshift(limit);
    limit = earlier(limit, from);
  }
  let at = start;
  for (const [index, { step, to, end: ended, mark }] of borders.entries()) {
    const from = later(at, to);
    const before = earlier(ended, limits[index] ?? end);
    const others = busy.filter((range) => range.step !== step && range.from.line < before.line && range.to.line > from.line);
    const isShared =
      mark !== undefined && others.some((range) => range.from.line <= mark.own.from.line && range.to.line > mark.own.from.line);
    // The step's first line is certain even among lines of background steps.
    if (isShared && mark.own.from.line >= at.line) stretches.push({ step, ...mark.own });
    let free = from;
    for (const range of others.toSorted((a, b) => a.from.line - b.from.line)) {
      if (range.from.line > free.line) stretches.push({ step, from: free, to: range.from });
      free = later(free, range.to);
    }
    if (before.line > free.line) stretches.push({ step, from: free, to: before });
    at = later(at, isShared ? later(mark.own.to, before) : before);
  }
  return stretches;
}
