// Splits a log into the steps of its job. Every line is in exactly one section; a section without a step's number holds what
// cannot be attributed: lines before the runner began, the stretch between two steps where the border is not certain, and lines that
// a step in the background may have printed among those of another.

import type { Section } from "../../record/record.ts";
import type { LogTotals } from "../log-format.ts";
import type { StepMark } from "../text/step-marks.ts";
import type { Place } from "../text/time-points.ts";
import { type Alignment, alignSteps } from "./align-steps.ts";
import { type Busy, busyRanges, certainMark, type Scene, slackMs, withoutQueued } from "./background-steps.ts";
import { isExit } from "./failed-steps.ts";
import { earlier, later, LineClock } from "./line-clock.ts";
import { canBegin, type JobStep, type Step } from "./step-cost.ts";

/** A step's lines begin at `from` at the earliest and at `to` at the latest, and end before `end`. */
type Border = {
  readonly step: Step;
  readonly from: Place;
  readonly to: Place;
  readonly end: Place;
  /** Its first line, when it is certain. */
  readonly mark: StepMark | undefined;
};

/** Lines that are certainly a step's, without gap. */
export type Stretch = { readonly step: Step; readonly from: Place; readonly to: Place };

type Totals = Pick<LogTotals, "text" | "lines" | "rawBytes">;

const start: Place = { line: 1, offset: 0 };

/** Pure. `steps`: of the job object, in any order, with whatever GitHub left out. */
export function splitLog(totals: Totals, steps: readonly JobStep[]): Section[] {
  return sectionsOf(stretchesOf(totals, steps), { line: totals.lines + 1, offset: totals.rawBytes });
}

/** All lines that are certainly a step's. A step has several stretches where steps in the background print between its lines. */
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
 * The last step of a log that was cut short may have no line in it. The line that looks like its first can be one inside a composite
 * action before it, or the first of the step before it, where that was not found.
 */
function withoutInner(alignments: readonly Alignment[]): Alignment[] {
  return alignments.map((alignment, index) => {
    const before = alignments[index - 1];
    const isSure = before !== undefined && certainMark(before)?.holdsMarks === false;
    return alignment.step.isOpen && !isSure ? { ...alignment, isDoubtful: true } : alignment;
  });
}

/** The stretches as sections of a record, and what is unassigned between them. */
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

// Errors are kept as annotations; a step that fails before it begins has nothing else.
function marksOf({ marks, annotations }: LogTotals["text"], clock: LineClock): StepMark[] {
  const exits = new Set(annotations.flatMap(({ message, line_number }) => (isExit(message) ? line_number : [])));
  // Where steps run in the background, an error may be any of theirs.
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
  // Where the clock was set back between a step's start and its first line, the two times say nothing of each other.
  return [...marks, ...errors]
    .toSorted((a, b) => a.line - b.line)
    .map((mark, index, all) =>
      clock.goesBack({ from: all[index - 1] ?? start, before: mark.own.to }) ? { ...mark, ms: undefined } : mark,
    );
}

/** A log without the runner's last words may lack the line that names the steps in the background. */
function mayHideBackground({ marks, runner }: LogTotals["text"]): boolean {
  if (marks.some(({ kind }) => kind === "complete")) return false;
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(runner.version ?? "") ?? [];
  return major === undefined || Number(major) > 2 || Number(minor) >= firstMinorWithBackground;
}

const firstMinorWithBackground = 335;

function findBorders(alignments: readonly Alignment[], { marks, clock, end }: Scene): Border[] {
  const borders: Border[] = [];
  // After the last line that is certainly an earlier step's.
  let earliest = start;
  for (const [index, alignment] of alignments.entries()) {
    const { step, isDoubtful } = alignment;
    const [first, last] = [alignment.marks[0], alignment.marks.at(-1)];
    const next = alignments.slice(index + 1).find((other) => !other.isDoubtful && !other.step.isPending)?.marks[0] ?? end;
    if (step.isPending) {
      // Lines behind one where it may begin are unassigned: it may also have never begun.
      const possible = marks.find((mark) => mark.line >= earliest.line && mark.line < next.line && canBegin(step, mark));
      if (possible !== undefined) borders.push({ step, from: possible, to: next, end: next, mark: undefined });
    } else if (first !== undefined && last !== undefined && !isDoubtful) {
      const head = last.after ?? last;
      const ended = endOf(step, last, clock, next);
      borders.push({ step, from: first, to: last, end: later(ended, head), mark: certainMark(alignment) });
      // The step after it can begin as soon as this one has.
      earliest = later(earliest, first.after ?? first);
    } else {
      const range = { from: earliest, before: later(earliest, next) };
      const [from, by] = (step.startMs === undefined ? undefined : startOf(step.startMs, clock, range)) ?? [
        range.from,
        range.before,
      ];
      // A mark that may be its own is certain for no step.
      const [low, high] = [earlier(from, first ?? from), later(by, last?.after ?? last ?? by)];
      // One that has not ended may have printed nothing.
      const to = step.isOpen ? range.before : later(high, earliest);
      borders.push({ step, from: later(low, earliest), to, end: endOf(step, undefined, clock, next), mark: undefined });
    }
  }
  return borders;
}

/** Where a step that left no mark began, at the earliest and at the latest. */
function startOf(startMs: number, clock: LineClock, range: { from: Place; before: Place }): readonly [Place, Place] | undefined {
  const [from, to] = [clock.firstFrom(startMs - slackMs, range), clock.afterLastBefore(startMs + slackMs, range)];
  return from === undefined || to === undefined ? undefined : [from, earlier(to, range.before)];
}

/** Before which line a step ended for certain; the end of all when its times are not to be trusted. */
function endOf({ startMs, endMs }: Step, mark: StepMark | undefined, clock: LineClock, next: Place): Place {
  const isClose = mark?.ms === undefined || startMs === undefined || Math.abs(mark.ms - startMs) < 3 * slackMs;
  const ended =
    endMs !== undefined && isClose ? clock.afterLastBefore(endMs + slackMs, { from: mark ?? start, before: next }) : undefined;
  return ended ?? { line: Infinity, offset: Infinity };
}

/** The certain lines of each step between its own border and the next one's, without those that another may have printed. */
function claimLines(borders: readonly Border[], busy: readonly Busy[], end: Place): Stretch[] {
  const stretches: Stretch[] = [];
  // The earliest that any later step may begin, from the back.
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
    // Its own first line is certain all the same.
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
