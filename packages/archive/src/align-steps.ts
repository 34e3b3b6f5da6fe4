// Finds which mark of a log begins which step of its job. Both lists are in order, so this is the alignment of two sequences,
// as for genes: dynamic programming finds the best of all, where taking the nearest mark step by step would let one faked or
// nested mark push every later step off its place. What is best by a hair is not taken: all that comes near it is told.

import { canBegin, fit, nestedCost, type Step, stepOf, unfoundCost, type JobStep } from "./step-fit.ts";
import type { StepMark } from "./step-marks.ts";

export type Alignment = {
  readonly step: Step;
  /** The marks that may begin it, by rising line: one when it is certain, none when it was not found. */
  readonly marks: readonly StepMark[];
};

/** Totals closer than this to the best are as good as it. */
const tolerance = 1;
/** No workflow that people wrote has so many; the table that is filled grows with it. */
export const maxSteps = 500;
/** The log of a job whose steps GitHub lists incompletely has these two all the same. */
const unlisted = { conclusion: null, started_at: null, completed_at: null };

/** `steps`: of the job object, in any order. Steps beyond `maxSteps` are as if they were not there. */
export function alignSteps(marks: readonly StepMark[], steps: readonly JobStep[]): Alignment[] {
  const known = steps.toSorted((a, b) => a.step_number - b.step_number).slice(0, maxSteps).map((step, index, all) => stepOf(step, index, all));
  if (known.length === 0) return [];
  const all = [
    ...(known[0]?.role === "set-up" ? [] : [{ ...stepOf({ ...unlisted, step_number: 0, step_name: "Set up job" }, 0, []), isListed: false }]),
    ...known,
    ...(known.at(-1)?.role === "complete"
      ? []
      : [{ ...stepOf({ ...unlisted, step_number: 0, step_name: "Complete job" }, 0, [{ step_name: null }]), isListed: false }]),
  ];
  return new Table(all, marks).alignments();
}

/**
 * The best total of every pair of a beginning and an end of the two lists. A mark that begins no step belongs to the step before
 * it; what that costs depends on whether that step can hold others, so each total is kept for both kinds of step.
 */
class Table {
  readonly #steps: readonly Step[];
  readonly #marks: readonly StepMark[];
  readonly #width: number;
  /** `#forward[at(i, j, holds)]`: the first i steps and j marks are settled, and the last step found `holds` others or not. */
  readonly #forward: Float64Array;
  /** `#backward[at(i, j, holds)]`: the same for the steps from i on and the marks from j on. */
  readonly #backward: Float64Array;

  constructor(steps: readonly Step[], marks: readonly StepMark[]) {
    this.#steps = steps;
    this.#marks = marks;
    this.#width = 2 * (marks.length + 1);
    const cells = (steps.length + 1) * this.#width;
    this.#forward = new Float64Array(cells).fill(-Infinity);
    this.#backward = new Float64Array(cells).fill(-Infinity);
    this.#fillForward();
    this.#fillBackward();
  }

  alignments(): Alignment[] {
    const best = this.#backward[this.#at(0, 0, 1)] ?? 0;
    return this.#steps.map((step, i) => {
      const marks = this.#marks.filter((mark, j) => canBegin(step, mark) && this.#through(i, j) >= best - tolerance);
      // As good without it: then any of them may be another's.
      const isDoubtful = this.#without(i) >= best - tolerance;
      return { step, marks: isDoubtful ? [] : marks };
    });
  }

  #at(step: number, mark: number, holds: 0 | 1): number {
    return step * this.#width + 2 * mark + holds;
  }

  #raise(totals: Float64Array, cell: number, total: number): void {
    if (total > (totals[cell] ?? 0)) totals[cell] = total;
  }

  #fillForward(): void {
    // Before the first step nothing is held against a mark.
    this.#forward[this.#at(0, 0, 1)] = 0;
    for (let i = 0; i <= this.#steps.length; i += 1) {
      for (let j = 0; j <= this.#marks.length; j += 1) for (const holds of [0, 1] as const) this.#step(i, j, holds);
    }
  }

  #step(i: number, j: number, holds: 0 | 1): void {
    const total = this.#forward[this.#at(i, j, holds)] ?? -Infinity;
    if (total === -Infinity) return;
    const [step, mark] = [this.#steps[i], this.#marks[j]];
    if (step) this.#raise(this.#forward, this.#at(i + 1, j, holds), total - unfoundCost(step));
    if (mark) this.#raise(this.#forward, this.#at(i, j + 1, holds), total - nestedCost(mark, holds));
    if (step && mark && canBegin(step, mark))
      this.#raise(this.#forward, this.#at(i + 1, j + 1, holdsOf(mark)), total + fit(step, mark));
  }

  #fillBackward(): void {
    for (let i = this.#steps.length; i >= 0; i -= 1) {
      for (let j = this.#marks.length; j >= 0; j -= 1) {
        const [step, mark] = [this.#steps[i], this.#marks[j]];
        for (const holds of [0, 1] as const) {
          const cell = this.#at(i, j, holds);
          if (!step && !mark) this.#backward[cell] = 0;
          if (step) this.#raise(this.#backward, cell, (this.#backward[this.#at(i + 1, j, holds)] ?? 0) - unfoundCost(step));
          if (mark) this.#raise(this.#backward, cell, (this.#backward[this.#at(i, j + 1, holds)] ?? 0) - nestedCost(mark, holds));
          if (step && mark && canBegin(step, mark))
            this.#raise(this.#backward, cell, (this.#backward[this.#at(i + 1, j + 1, holdsOf(mark))] ?? 0) + fit(step, mark));
        }
      }
    }
  }

  /** The best total in which step i begins at mark j. */
  #through(i: number, j: number): number {
    const [step, mark] = [this.#steps[i], this.#marks[j]];
    if (!step || !mark) return -Infinity;
    const before = Math.max(this.#forward[this.#at(i, j, 0)] ?? -Infinity, this.#forward[this.#at(i, j, 1)] ?? -Infinity);
    return before + fit(step, mark) + (this.#backward[this.#at(i + 1, j + 1, holdsOf(mark))] ?? 0);
  }

  /** The best total in which step i begins nowhere. */
  #without(i: number): number {
    const step = this.#steps[i];
    let best = -Infinity;
    if (!step) return best;
    for (let j = 0; j <= this.#marks.length; j += 1) {
      for (const holds of [0, 1] as const) {
        const total =
          (this.#forward[this.#at(i, j, holds)] ?? -Infinity) - unfoundCost(step) + (this.#backward[this.#at(i + 1, j, holds)] ?? 0);
        if (total > best) best = total;
      }
    }
    return best;
  }
}

function holdsOf({ holdsMarks }: StepMark): 0 | 1 {
  return holdsMarks ? 1 : 0;
}
