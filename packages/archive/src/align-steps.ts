// Finds which mark of a log begins which step of its job. Both lists are in order, so this is the alignment of two sequences,
// as for genes: dynamic programming finds the best of all, where taking the nearest mark step by step would let one faked or
// nested mark push every later step off its place. What is best by a hair is not taken: all that comes near it is told.

import {
  canBegin,
  costInside,
  fit,
  type JobStep,
  type Owner,
  ownerOf,
  owners,
  type Step,
  stepOf,
  unfoundCost,
} from "./step-fit.ts";
import type { StepMark } from "./step-marks.ts";

export type Alignment = {
  readonly step: Step;
  /** The marks that may begin it, by rising line: one when it is certain, none when it was not found. */
  readonly marks: readonly StepMark[];
  /** It may also begin without a mark. */
  readonly isDoubtful: boolean;
};

/** Totals closer than this to the best are as good as it. */
const tolerance = 1;
/** No workflow that people wrote has so many; the table that is filled grows with it. */
const maxSteps = 300;
/** The log of a job whose steps GitHub lists incompletely has these two all the same. */
const unlisted = { conclusion: "success", started_at: null, completed_at: null };

/** `steps`: of the job object, in any order. Steps beyond `maxSteps` are as if they were not there. */
export function alignSteps(marks: readonly StepMark[], steps: readonly JobStep[]): Alignment[] {
  const known = steps
    .toSorted((a, b) => a.step_number - b.step_number)
    .slice(0, maxSteps)
    .map(stepOf);
  if (known.length === 0) return [];
  const runners = [
    { ...unlisted, step_number: 0, step_name: "Set up job" },
    { ...unlisted, step_number: 0, step_name: "Complete job" },
  ].map(stepOf);
  const missing = runners.map((step) => ({ ...step, isListed: false }));
  const all = [
    ...missing.filter(({ role }) => role === "set-up" && known[0]?.role !== role),
    ...known,
    ...missing.filter(({ role }) => role === "complete" && known.at(-1)?.role !== role),
  ];
  return new Table(all, marks).alignments();
}

/**
 * The best total of every pair of a beginning and an end of the two lists. A mark that begins no step stands inside the step
 * before it; what that costs depends on whose step that is, so each total is kept once for every kind of owner.
 */
class Table {
  readonly #steps: readonly Step[];
  readonly #marks: readonly StepMark[];
  readonly #width: number;
  /** `#forward[at(i, j, owner)]`: of the first i steps and j marks, when the last step found is an `owner`. */
  readonly #forward: Float32Array;
  /** `#backward[at(i, j, owner)]`: of the steps from i on and the marks from j on, after an `owner`. */
  readonly #backward: Float32Array;

  constructor(steps: readonly Step[], marks: readonly StepMark[]) {
    this.#steps = steps;
    this.#marks = marks;
    this.#width = owners.length * (marks.length + 1);
    const cells = (steps.length + 1) * this.#width;
    this.#forward = new Float32Array(cells).fill(-Infinity);
    this.#backward = new Float32Array(cells).fill(-Infinity);
    this.#forward[this.#at(0, 0, "nobody")] = 0;
    for (let i = 0; i <= steps.length; i += 1) for (let j = 0; j <= marks.length; j += 1) this.#goOn(i, j);
    for (let i = steps.length; i >= 0; i -= 1) for (let j = marks.length; j >= 0; j -= 1) this.#goBack(i, j);
  }

  alignments(): Alignment[] {
    const best = this.#backward[this.#at(0, 0, "nobody")] ?? 0;
    return this.#steps.map((step, i) => {
      const marks = this.#marks.filter((mark, j) => canBegin(step, mark) && this.#through(i, j) >= best - tolerance);
      return { step, marks, isDoubtful: this.#without(i) >= best - tolerance };
    });
  }

  #at(step: number, mark: number, owner: Owner): number {
    return step * this.#width + mark * owners.length + owners.indexOf(owner);
  }

  #goOn(i: number, j: number): void {
    const [step, mark] = [this.#steps[i], this.#marks[j]];
    const begins = step && mark && canBegin(step, mark) ? fit(step, mark) : undefined;
    for (const owner of owners) {
      const total = this.#forward[this.#at(i, j, owner)] ?? -Infinity;
      if (total === -Infinity) continue;
      if (step) raise(this.#forward, this.#at(i + 1, j, owner), total - unfoundCost(step));
      if (mark) {
        const inside = costInside(mark, owner);
        raise(this.#forward, this.#at(i, j + 1, inside.owner), total - inside.cost);
        if (begins !== undefined) raise(this.#forward, this.#at(i + 1, j + 1, ownerOf(mark)), total + begins);
      }
    }
  }

  #goBack(i: number, j: number): void {
    const [step, mark] = [this.#steps[i], this.#marks[j]];
    const begins = step && mark && canBegin(step, mark) ? fit(step, mark) : undefined;
    for (const owner of owners) {
      const cell = this.#at(i, j, owner);
      if (!step && !mark) this.#backward[cell] = 0;
      if (step) raise(this.#backward, cell, (this.#backward[this.#at(i + 1, j, owner)] ?? 0) - unfoundCost(step));
      if (!mark) continue;
      const inside = costInside(mark, owner);
      raise(this.#backward, cell, (this.#backward[this.#at(i, j + 1, inside.owner)] ?? 0) - inside.cost);
      if (begins !== undefined)
        raise(this.#backward, cell, (this.#backward[this.#at(i + 1, j + 1, ownerOf(mark))] ?? 0) + begins);
    }
  }

  /** The best total in which step i begins at mark j. */
  #through(i: number, j: number): number {
    const [step, mark] = [this.#steps[i], this.#marks[j]];
    if (!step || !mark) return -Infinity;
    const before = Math.max(...owners.map((owner) => this.#forward[this.#at(i, j, owner)] ?? -Infinity));
    return before + fit(step, mark) + (this.#backward[this.#at(i + 1, j + 1, ownerOf(mark))] ?? 0);
  }

  /** The best total in which step i begins nowhere. */
  #without(i: number): number {
    const step = this.#steps[i];
    if (!step) return -Infinity;
    let best = -Infinity;
    for (let j = 0; j <= this.#marks.length; j += 1) {
      for (const owner of owners) {
        const [before, after] = [this.#forward[this.#at(i, j, owner)] ?? 0, this.#backward[this.#at(i + 1, j, owner)] ?? 0];
        best = Math.max(best, before - unfoundCost(step) + after);
      }
    }
    return best;
  }
}

function raise(totals: Float32Array, cell: number, total: number): void {
  if (total > (totals[cell] ?? 0)) totals[cell] = total;
}
