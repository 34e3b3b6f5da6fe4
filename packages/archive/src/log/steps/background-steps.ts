// Finds the lines that background steps may have printed. The runner interleaves their output with that of other steps
// (BackgroundStepCoordinator of actions/runner, since 2.335), and a line does not name its step.

import type { StepMark } from "../text/step-marks.ts";
import type { Place } from "../text/time-points.ts";
import { type Alignment, controlsOf } from "./align-steps.ts";
import { earlier, type LineClock } from "./line-clock.ts";
import { canBegin, type Step } from "./step-cost.ts";

/** The range of lines in which a background step may print. */
export type Busy = { readonly step: Step; readonly from: Place; readonly to: Place };

export type Scene = {
  readonly marks: readonly StepMark[];
  readonly clock: LineClock;
  readonly end: Place;
  /** The log may end before the line that names the background steps. */
  readonly isCut: boolean;
};

/** Steps' times are inaccurate by less than this. */
export const slackMs = 1000;
const start: Place = { line: 1, offset: 0 };

/** The mark where a step certainly begins; undefined if it is not certain. */
export function certainMark({ marks, isDoubtful }: Alignment): StepMark | undefined {
  return marks.length === 1 && !isDoubtful ? marks[0] : undefined;
}

/** The ranges of the background steps. @param alignments those of the steps that print, in their order. */
export function busyRanges(alignments: readonly Alignment[], scene: Scene): Busy[] {
  const controls = controlsOf(alignments);
  return alignments.flatMap((alignment, index) => {
    const after = alignments.slice(index + 1);
    const isBackground =
      controls.some((control) => names(control, alignment.step)) ||
      (scene.isCut && beginsRightBefore(alignment, after[0])) ||
      after.some((other) => overlaps(alignment, other, { ...scene, hasControl: controls.length > 0 }));
    return isBackground ? [busyRange(alignment, { before: alignments.slice(0, index), after }, scene)] : [];
  });
}

/** The runner takes only milliseconds to start a background step before it begins the next step. */
const headMs = 30;

function beginsRightBefore(alignment: Alignment, next: Alignment | undefined): boolean {
  const [from, to] = [certainMark(alignment)?.ms, next?.marks[0]?.ms];
  return alignment.step.role === "main" && from !== undefined && to !== undefined && to - from < headMs;
}

function busyRange(
  alignment: Alignment,
  { before, after }: { readonly before: readonly Alignment[]; readonly after: readonly Alignment[] },
  { marks, clock, end }: Scene,
): Busy {
  const { step } = alignment;
  const range = { from: before.flatMap((other) => certainMark(other) ?? []).at(-1) ?? start, before: end };
  const byTime = step.startMs === undefined ? range.from : (clock.firstFrom(step.startMs - slackMs, range) ?? range.from);
  const mark =
    certainMark(alignment) ??
    earliest(
      alignment.marks[0],
      marks.find((other) => other.line >= byTime.line && canBegin(step, other)),
    );
  const from = mark?.own.from ?? byTime;
  const ended = step.endMs === undefined ? undefined : clock.afterLastBefore(step.endMs + slackMs, { from, before: end });
  return { step, from, to: earlier(ended ?? end, waitedFor(step, before, after) ?? end) };
}

function earliest(a: StepMark | undefined, b: StepMark | undefined): StepMark | undefined {
  return a === undefined || (b !== undefined && b.line < a.line) ? b : a;
}

/** Where the next step begins after a step that waited for `step`. By then `step` has ended, unless it was cancelled. */
function waitedFor(step: Step, before: readonly Alignment[], after: readonly Alignment[]): Place | undefined {
  if (step.isBroken && step.conclusion !== "failure") return undefined;
  const isNamedTwice = [...before, ...after].some((other) => other.step.name === step.name && !other.step.isSilent);
  const waiting = after.findIndex((other) => {
    const mark = certainMark(other);
    if (mark?.kind !== "control" || mark.title.startsWith("Cancelling")) return false;
    return mark.title.startsWith("No ") || (!isNamedTwice && names(mark, step));
  });
  return waiting === -1 ? undefined : after.slice(waiting + 1).find((other) => certainMark(other) !== undefined)?.marks[0];
}

/** Whether a control line, like `…: Types, Docs`, contains the step's name. */
function names({ title }: StepMark, { name, role }: Step): boolean {
  if (role === "set-up" || role === "complete") return false;
  return `, ${title.slice(title.indexOf(": ") + 2)}, `.includes(`, ${name}, `);
}

// Compares the times of the two steps. A clock that was set back between them also makes them overlap, but a background step has a
// control line of a step that waits for it.
function overlaps(
  { step, marks }: Alignment,
  other: Alignment,
  { clock, hasControl, end }: Scene & { readonly hasControl: boolean },
): boolean {
  const { startMs } = other.step;
  if (startMs === undefined || other.step.isSilent) return false;
  if (step.isOpen) return true;
  if (step.endMs === undefined || step.endMs <= startMs + slackMs) return false;
  return hasControl || !clock.goesBack({ from: marks[0] ?? start, before: other.marks[0]?.own.to ?? end });
}

/**
 * Marks queued steps as doubtful. A background step that waits for one of ten others can print its first line after those of later steps,
 * up to that of the step that waits for it, so their marks may be interchanged.
 */
export function withoutQueued(alignments: readonly Alignment[], busy: readonly Busy[]): Alignment[] {
  const doubtful = new Set<Step>();
  for (const { step } of busy.slice(slots)) {
    const index = alignments.findIndex((alignment) => alignment.step === step);
    const waiting = alignments.findIndex((other, place) => place > index && certainMark(other)?.kind === "control");
    for (const other of alignments.slice(index, waiting === -1 ? undefined : waiting + 1)) doubtful.add(other.step);
  }
  return alignments.map((each) => (doubtful.has(each.step) ? { ...each, isDoubtful: true } : each));
}

/** The runner's default limit of concurrent background steps (system.runner.maxbackgroundsteps). */
const slots = 10;
