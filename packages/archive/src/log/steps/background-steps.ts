// Which lines of a log several steps may have printed. The runner writes what steps in the background print between the lines of the
// others (BackgroundStepCoordinator of actions/runner, since 2.335); a line does not say whose it is.

import type { StepMark } from "../text/step-marks.ts";
import type { Place } from "../text/time-points.ts";
import { type Alignment, controlsOf } from "./align-steps.ts";
import { earlier, type LineClock } from "./line-clock.ts";
import { canBegin, type Step } from "./step-cost.ts";

/** While a step in the background may print. */
export type Busy = { readonly step: Step; readonly from: Place; readonly to: Place };

export type Scene = {
  readonly marks: readonly StepMark[];
  readonly clock: LineClock;
  readonly end: Place;
  /** Steps may run in the background though no line names them: the log ends before the one that would. */
  readonly isCut: boolean;
};

/** Times of steps are off by less than this. */
export const slackMs = 1000;
const start: Place = { line: 1, offset: 0 };

/** The mark where a step begins for certain. */
export function certainMark({ marks, isDoubtful }: Alignment): StepMark | undefined {
  return marks.length === 1 && !isDoubtful ? marks[0] : undefined;
}

/** `alignments`: of the steps that print, in their order. */
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

/** What the runner does of a step in the background before it begins the next one takes some milliseconds. */
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
  const whole = { from: before.flatMap((other) => certainMark(other) ?? []).at(-1) ?? start, before: end };
  const byTime = step.startMs === undefined ? whole.from : (clock.firstFrom(step.startMs - slackMs, whole) ?? whole.from);
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

/** Where the next step begins after one that waited for `step`: it has ended by then, unless it was cancelled. */
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

/** Whether the line of a step that waits or cancels has the step's name: `…: Types, Docs`. */
function names({ title }: StepMark, { name, role }: Step): boolean {
  if (role === "set-up" || role === "complete") return false;
  return `, ${title.slice(title.indexOf(": ") + 2)}, `.includes(`, ${name}, `);
}

// By the times of the two. A clock that was set back between them makes it look so as well; a step in the background has another
// that waits for it, though, and says so.
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
 * A step in the background that waits until one of ten others ends can print its first line after those of later steps, up to that of
 * the step that waits for it: their marks may be each other's.
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

/** How many steps run in the background at once, unless a job says otherwise (system.runner.maxbackgroundsteps). */
const slots = 10;
