// Finds which mark of a log begins which step of its job, by global sequence alignment with dynamic programming. A greedy match
// would let one fake or nested mark misplace all later steps. Near ties are returned as alternatives, which leaves them unassigned.

import { isAction, type StepMark } from "../text/step-marks.ts";
import {
  canBegin,
  costInside,
  fit,
  type JobStep,
  mayBeAbsent,
  type Owner,
  ownerOf,
  owners,
  type Step,
  stepOf,
  unfoundCost,
} from "./step-cost.ts";

export type Alignment = {
  readonly step: Step;
  /** The marks that may begin the step, in order of lines: one if it is certain, none if it was not found. */
  readonly marks: readonly StepMark[];
  /** The step may also begin without a mark. */
  readonly isDoubtful: boolean;
};

/**
 * Scores closer than this to the best count as ties. `compositeMargin`: if marks of a composite action's steps resemble those of the job's
 * steps, fractions of a second and a first line that is seconds late must not decide. `wideMargin`: background steps have marks near each
 * other, and a step that prints fake marks may print several, so two such lines must not decide.
 */
const [margin, compositeMargin, wideMargin] = [1, 2, 6.6];
/** More steps than any real workflow has. The size of the table is proportional to it. */
const maxSteps = 300;
/** Every log contains "Set up job" and "Complete job", even if GitHub's list of steps lacks them. */
const unlisted = { conclusion: "success", started_at: null, completed_at: null };

/**
 * Aligns marks with steps.
 * @param steps the job object's steps, in any order; steps beyond `maxSteps` are ignored.
 * @param endMs the second of the log's last line; -Infinity if it is unknown.
 */
export function alignSteps(marks: readonly StepMark[], steps: readonly JobStep[], endMs: number): Alignment[] {
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
  const posts = all.filter(({ role }) => role === "post");
  const first = new Table(all, marks, new Map(), endMs);
  const narrow = first.alignments(margin);
  const inside = marksInside(narrow, marks);
  const isWide = controlsOf(narrow).length > 0 || inside === "fakes";
  const within = isWide ? wideMargin : inside === "composites" ? compositeMargin : margin;
  const found = within === margin ? narrow : first.alignments(within);
  if (posts.length === 0 || marks.filter(({ kind }) => kind === "post").length <= posts.length) return found;
  return new Table(all, marks, new Map(posts.map((step) => [step, holdsPosts(step, found, marks)])), endMs).alignments(within);
}

/**
 * Which marks are inside the aligned steps: `fakes`, a mark in a step that cannot contain it, or a group whose first line is not the
 * runner's; else `composites`, a mark in a composite action's step that the runner does not mark as nested; else undefined.
 */
function marksInside(alignments: readonly Alignment[], marks: readonly StepMark[]): "fakes" | "composites" | undefined {
  const begins = new Set(alignments.flatMap((alignment) => alignment.marks));
  let owner: Owner = "none";
  let hasComposites = false;
  for (const mark of marks) {
    if (mark.head === "other") return "fakes";
    if (begins.has(mark)) owner = ownerOf(mark, undefined);
    else if (costInside(mark, owner).cost > 0) return "fakes";
    else hasComposites ||= owner === "composite" && !mark.isNested;
  }
  return hasComposites ? "composites" : undefined;
}

/** The `control` marks that may begin a step of the job; other such lines are output. */
export function controlsOf(alignments: readonly Alignment[]): StepMark[] {
  return alignments.flatMap(({ marks }) => marks.filter(({ kind }) => kind === "control"));
}

/**
 * Whether a post step can contain other `Post job cleanup.` lines. It can if its main step ran another action: the post steps of a
 * composite action's steps run inside its own post step (CompositeActionHandler). Undefined if the main step does not show it.
 */
function holdsPosts({ name }: Step, found: readonly Alignment[], marks: readonly StepMark[]): boolean | undefined {
  const main = name.slice("Post ".length);
  const shown = found.flatMap(({ step, marks: own, isDoubtful }, index) => {
    if (step.name !== main || step.isSilent || (step.role !== "main" && !step.mayBeMain)) return [];
    const [mark, after] = [own[0], found.slice(index + 1).find((other) => other.marks.length > 0)];
    const next = after?.marks[0];
    if (mark === undefined || own.length > 1 || isDoubtful || next === undefined) return [undefined];
    const inside = marks.filter(({ kind, line }) => kind === "run" && line > mark.line && line < next.line);
    if (inside.some(({ title }) => isAction(title.slice("Run ".length)))) return [true];
    return [after?.marks.length === 1 && !after.isDoubtful ? false : undefined];
  });
  return shown.length === 0 || shown.includes(undefined) ? undefined : shown.includes(true);
}

/**
 * The best scores of all prefixes and suffixes of the two lists. A mark that begins no step is inside the step before it; the cost
 * depends on the kind of that step (its owner), so each cell has one score for each owner. Numbers are in flat typed arrays, since the
 * loops run a million times for a log with fake marks.
 */
class Table {
  readonly #steps: readonly Step[];
  readonly #marks: readonly StepMark[];
  readonly #unfound: readonly number[];
  /** For each step and mark: the score; NaN if the step cannot begin there. */
  readonly #fits: Float32Array;
  /** For each mark: the index in `owners` of a step that begins there. */
  readonly #ownerOf: readonly { readonly plain: number; readonly holding: number; readonly shown: number }[];
  /** For each post step: whether its main step shows that it can contain other post steps. */
  readonly #holdsPosts: readonly (boolean | undefined)[];
  /** For each mark and owner: the cost inside the owner's step, and the owner afterwards. */
  readonly #inside: readonly { readonly cost: number; readonly owner: number }[];
  /** `#forward[at(i, j) + owner]`: best score of the first i steps and j marks, if the last step found is the owner's. */
  readonly #forward: Float32Array;
  /** `#backward[at(i, j) + owner]`: best score of the steps from i on and the marks from j on, after an owner's step. */
  readonly #backward: Float32Array;

  constructor(steps: readonly Step[], marks: readonly StepMark[], holds: ReadonlyMap<Step, boolean | undefined>, endMs: number) {
    this.#steps = steps;
    this.#marks = marks;
    this.#unfound = steps.map((step) => unfoundCost(step, endMs));
    this.#fits = Float32Array.from(
      steps.flatMap((step) => {
        const fits = marks.map((mark) => (canBegin(step, mark) ? fit(step, mark) : Number.NaN));
        if (!mayBeAbsent(step, endMs)) return fits;
        // A step that may have printed nothing must not take a mark from another step.
        const best = fits.reduce((max, each) => (each > max ? each : max), 0);
        return fits.map((each) => each - best);
      }),
    );
    const place = (mark: StepMark, holdsOthers?: boolean) => owners.indexOf(ownerOf(mark, holdsOthers));
    this.#ownerOf = marks.map((mark) => ({ shown: place(mark), plain: place(mark, false), holding: place(mark, true) }));
    this.#holdsPosts = steps.map((step) => holds.get(step));
    this.#inside = marks.flatMap((mark) =>
      owners.map((owner) => {
        const inside = costInside(mark, owner);
        return { cost: inside.cost, owner: owners.indexOf(inside.owner) };
      }),
    );
    const cells = (steps.length + 1) * (marks.length + 1) * owners.length;
    this.#forward = new Float32Array(cells).fill(-Infinity);
    this.#backward = new Float32Array(cells).fill(-Infinity);
    this.#forward[owners.indexOf("none")] = 0;
    for (let i = 0; i <= steps.length; i += 1) for (let j = 0; j <= marks.length; j += 1) this.#extendForward(i, j);
    this.#backward.fill(0, this.#at(steps.length, marks.length));
    for (let i = steps.length; i >= 0; i -= 1) for (let j = marks.length; j >= 0; j -= 1) this.#extendBackward(i, j);
  }

  /** `within`: scores closer than this to the best count as ties. */
  alignments(within: number): Alignment[] {
    const best = this.#backward[owners.indexOf("none")] ?? 0;
    return this.#steps.map((step, i) => ({
      step,
      marks: this.#marks.filter((_, j) => this.#through(i, j) >= best - within),
      isDoubtful: this.#without(i) >= best - within,
    }));
  }

  #at(step: number, mark: number): number {
    return (step * (this.#marks.length + 1) + mark) * owners.length;
  }

  #fit(step: number, mark: number): number {
    return mark < this.#marks.length ? (this.#fits[step * this.#marks.length + mark] ?? Number.NaN) : Number.NaN;
  }

  /** The owner of the marks after mark j if step i begins there. */
  #owner(i: number, j: number): number {
    const [owner, holds] = [this.#ownerOf[j], this.#holdsPosts[i]];
    return (holds === undefined ? owner?.shown : holds ? owner?.holding : owner?.plain) ?? 0;
  }

  #extendForward(i: number, j: number): void {
    const [begins, unfound] = [this.#fit(i, j), this.#unfound[i]];
    for (let owner = 0; owner < owners.length; owner += 1) {
      const total = this.#forward[this.#at(i, j) + owner] ?? -Infinity;
      if (total === -Infinity) continue;
      if (unfound !== undefined) raise(this.#forward, this.#at(i + 1, j) + owner, total - unfound);
      const inside = j < this.#marks.length ? this.#inside[j * owners.length + owner] : undefined;
      if (inside === undefined) continue;
      raise(this.#forward, this.#at(i, j + 1) + inside.owner, total - inside.cost);
      if (!Number.isNaN(begins)) raise(this.#forward, this.#at(i + 1, j + 1) + this.#owner(i, j), total + begins);
    }
  }

  #extendBackward(i: number, j: number): void {
    const [begins, unfound] = [this.#fit(i, j), this.#unfound[i]];
    for (let owner = 0; owner < owners.length; owner += 1) {
      const cell = this.#at(i, j) + owner;
      if (unfound !== undefined) raise(this.#backward, cell, (this.#backward[this.#at(i + 1, j) + owner] ?? 0) - unfound);
      const inside = j < this.#marks.length ? this.#inside[j * owners.length + owner] : undefined;
      if (inside === undefined) continue;
      raise(this.#backward, cell, (this.#backward[this.#at(i, j + 1) + inside.owner] ?? 0) - inside.cost);
      if (!Number.isNaN(begins))
        raise(this.#backward, cell, (this.#backward[this.#at(i + 1, j + 1) + this.#owner(i, j)] ?? 0) + begins);
    }
  }

  /** The best score in which step i begins at mark j; NaN if it cannot. */
  #through(i: number, j: number): number {
    let before = -Infinity;
    for (let owner = 0; owner < owners.length; owner += 1)
      before = Math.max(before, this.#forward[this.#at(i, j) + owner] ?? -Infinity);
    return before + this.#fit(i, j) + (this.#backward[this.#at(i + 1, j + 1) + this.#owner(i, j)] ?? 0);
  }

  /** The best score in which step i has no mark. */
  #without(i: number): number {
    let best = -Infinity;
    const [here, next, cells] = [this.#at(i, 0), this.#at(i + 1, 0), this.#at(1, 0)];
    for (let cell = 0; cell < cells; cell += 1)
      best = Math.max(best, (this.#forward[here + cell] ?? 0) + (this.#backward[next + cell] ?? 0));
    return best - (this.#unfound[i] ?? 0);
  }
}

function raise(totals: Float32Array, cell: number, total: number): void {
  if (total > (totals[cell] ?? 0)) totals[cell] = total;
}
