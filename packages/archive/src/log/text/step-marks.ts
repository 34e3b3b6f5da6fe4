// The lines where a step may begin, as a log's text alone shows them. Most are the starts of steps; others are those of the
// steps inside a composite action, or output that only looks like the runner's.

import { HeadTailBuffer } from "./head-tail-buffer.ts";
import type { LineText } from "./line-scanner.ts";
import type { Place } from "./time-points.ts";

export type MarkKind =
  | "set-up"
  | "run"
  | "hook-run"
  | "post"
  | "complete"
  | "containers"
  | "stop-containers"
  | "pull"
  | "build"
  | "hook"
  /** A step that waits for steps in the background, or cancels them. */
  | "control"
  /** A local composite action gets its actions; its head comes after lines of others. */
  | "prepare"
  | "debug"
  /** Taken from annotations: a step that fails before it begins says nothing else. */
  | "error";

export type StepMark = Place & {
  readonly kind: MarkKind;
  readonly ms: number | undefined;
  /** The group's title, the step's name in a line of debugging, or the line of a step that waits or cancels. */
  readonly title: string;
  /** Its first line alone. */
  readonly own: { readonly from: Place; readonly to: Place };
  /** Between the marks of a composite action, or the head of a step that a mark above begins. */
  readonly isNested: boolean;
  /** What the first line below a group's title shows; undefined for other marks, and where there is none. */
  head: "script" | "action" | "other" | undefined;
  /** The first line after the step's head. */
  after: Place | undefined;
  /**
   * Other marks may stand inside the step: the next one follows its head at once, as the first step of a composite action does
   * where other actions say something; or it is the first of several lines that the runner prints there.
   */
  holdsMarks: boolean;
};

/** Lines before a head: where the first one is, its time, and the number of the last. */
type Prelude = {
  readonly from: Place;
  readonly to: Place;
  readonly time: string | undefined;
  readonly last: number;
  /** It holds the line that a local composite action's step begins with. */
  isPreparing: boolean;
};

/** Kept from either end: a job that prints faked marks hides the middle of its own log only. */
const halfOfMarks = 500;
const maxDepth = 100;
const maxTitle = 300;

export class StepMarks {
  readonly #marks = new HeadTailBuffer<StepMark>(halfOfMarks);
  readonly #composites: string[] = [];
  #last: StepMark | undefined;
  #hasBegun = false;
  #isHeadOpen = false;
  /** The line below the last group's title. */
  #headLine = -1;
  /** Lines that the runner prints before a step's own first line, right above the current one. */
  #prelude: Prelude | undefined;
  /** Steps that began to get a local composite action's actions, with other lines before their own head. */
  #parted = 0;

  /** Whether the text of the next line is needed, whatever it is. */
  get wantsNext(): boolean {
    return this.#headLine !== -1;
  }

  /** `kind` is `markKind(line)`; `isPreparing`: the line is of a block that gets a local composite action's actions. */
  take(line: LineText, kind: MarkKind | undefined, isPreparing: boolean): void {
    // Nothing is printed before "Set up job" but that a runner is waited for: its first line is the log's first of this kind.
    if (kind === "set-up" && this.#hasBegun) return this.take(line, undefined, isPreparing);
    if (kind === "set-up") this.#hasBegun = true;
    const { number, end } = line;
    const isAbove = kind === undefined && (isPreparing || isPrelude(line));
    const above = this.#preludeOf(line, kind, isAbove);
    this.#prelude = undefined;
    if (number === this.#headLine && this.#last !== undefined) this.#last.head = headOf(line.text);
    this.#headLine = -1;
    if (line.kind === "end-group" && this.#isHeadOpen && this.#last !== undefined) {
      this.#isHeadOpen = false;
      this.#last.after = { line: number + 1, offset: end };
    }
    if (line.kind === "start-action") this.#enter(line);
    else if (line.kind === "end-action") this.#leave(line.text);
    if (kind === undefined) {
      const isPrepare = isPreparing && line.kind === "prepare";
      if (isPrepare) this.#recordNested("run", above?.from.line ?? number);
      if (isAbove) this.#prelude = { ...(above ?? firstOf(line)), last: number };
      if (isPrepare && this.#prelude !== undefined) this.#prelude.isPreparing = true;
      return;
    }
    const first = above ?? firstOf(line);
    if (kind === "run" || kind === "post") this.#recordNested(kind, first.from.line);
    this.#push(line, kind, first);
  }

  /** Call it once, after the last line. */
  items(): StepMark[] {
    if (this.#prelude?.isPreparing === true) this.#part(this.#prelude);
    return this.#marks.items();
  }

  get leftOut(): number {
    return this.#marks.leftOut;
  }

  /** What the runner printed before `line`, if that is the head which it belongs to, or more of it (`isAbove`). */
  #preludeOf({ number, text, kind: lineKind }: LineText, kind: MarkKind | undefined, isAbove: boolean): Prelude | undefined {
    const prelude = this.#prelude;
    if (prelude === undefined) return undefined;
    const isNext = prelude.last === number - 1;
    if (!prelude.isPreparing) return isNext && (isAbove || kind === "run" || kind === "post") ? prelude : undefined;
    // Only a local action gets its actions then; another's head comes in between where steps run in the background. While two get
    // theirs, a head may be of either.
    if (isNext && lineKind !== "prepare" && (isAbove || (isLocalHead(text) && this.#parted === 0))) return prelude;
    this.#part(prelude);
    return undefined;
  }

  #part({ from, to, time }: Prelude): void {
    this.#parted += 1;
    this.#marks.push({
      kind: "prepare",
      ...from,
      own: { from, to },
      ms: time === undefined ? undefined : Date.parse(time),
      title: "",
      isNested: this.#composites.length > 0,
      after: to,
      head: undefined,
      holdsMarks: true,
    });
  }

  #push(line: LineText, kind: MarkKind, { from, to, time, isPreparing }: Prelude): void {
    const isGroup = line.kind === "group";
    const isParted = this.#parted > 0 && !isPreparing && kind === "run" && isLocalHead(line.text);
    if (isParted) this.#parted -= 1;
    const mark: StepMark = {
      kind,
      ...from,
      own: { from, to },
      ms: time === undefined ? undefined : Date.parse(time),
      title: titleOf(line),
      // A hook that runs right after a step's head runs that step.
      isNested: isParted || this.#composites.length > 0 || (kind === "hook-run" && this.#last?.after?.line === from.line),
      after: isGroup ? undefined : { line: line.number + 1, offset: line.end },
      head: undefined,
      holdsMarks: kind === "stop-containers" || kind === "debug" || (kind === "complete" && !isLastWord(line.text)),
    };
    this.#marks.push(mark);
    // Every step of a job whose container a hook runs has this group: it is no step, and hides none.
    if (kind === "hook-run") return;
    this.#isHeadOpen = isGroup;
    if (kind === "run") this.#headLine = line.number + 1;
    this.#last = mark;
  }

  #recordNested(kind: "run" | "post", firstLine: number): void {
    if (this.#last?.after?.line === firstLine && canHold(this.#last, kind)) this.#last.holdsMarks = true;
  }

  #enter({ number, text }: LineText): void {
    if (this.#last?.kind === "run" || this.#last?.kind === "post") this.#recordNested(this.#last.kind, number);
    const id = /;id=([^;\]]*)\]$/.exec(text)?.[1];
    if (id !== undefined && this.#composites.length < maxDepth) this.#composites.push(id);
  }

  #leave(text: string): void {
    // Composite actions in the background leave in any order: only this one is left, not those that were entered after it.
    const id = /^##\[end-action id=([^;\]]*);/.exec(text)?.[1];
    const depth = id === undefined ? -1 : this.#composites.lastIndexOf(id);
    if (depth !== -1) this.#composites.splice(depth, 1);
  }
}

function firstOf({ number, start, end, time }: LineText): Prelude {
  const from = { line: number, offset: start };
  return { from, to: { line: number + 1, offset: end }, time, last: number, isPreparing: false };
}

function isLocalHead(text: string): boolean {
  return text.startsWith("##[group]Run ./") && isAction(text.slice("##[group]Run ".length));
}

/** The kinds of lines that are marks by themselves. */
const marksOfThemselves: ReadonlySet<unknown> = new Set(["set-up", "post", "complete", "hook", "stop-containers", "control"]);
const debugOfRunner = new Set(["##[debug]Starting: Set up job", "##[debug]Starting: Complete job"]);

/** What a line is as a step's start; undefined when it cannot be one. */
export function markKind({ kind, text }: Pick<LineText, "kind" | "text">): MarkKind | undefined {
  if (kind === "group") return groupMark(text.slice("##[group]".length));
  if (kind === "debug-step" || (kind === "debug-start" && debugOfRunner.has(text))) return "debug";
  return isMarkOfItself(kind) ? kind : undefined;
}

function isMarkOfItself(kind: LineText["kind"]): kind is MarkKind & LineText["kind"] {
  return marksOfThemselves.has(kind);
}

function groupMark(title: string): MarkKind | undefined {
  // The script of a hook: '/home/runner/hooks/start.sh'. Nobody's step is called so.
  if (/^Run '[^']+'$/.test(title)) return "hook-run";
  if (title.startsWith("Run ")) return "run";
  if (title === "Checking docker version") return "containers";
  if (title.startsWith("Pull down action image '")) return "pull";
  return title.startsWith("Build container for action use: '") ? "build" : undefined;
}

function titleOf({ kind, text }: LineText): string {
  if (kind === "group") return text.slice("##[group]".length).slice(0, maxTitle);
  if (kind === "control") return text;
  if (kind === "debug-step") return /'(.*)'$/s.exec(text)?.[1]?.slice(0, maxTitle) ?? "";
  return kind === "debug-start" ? text.slice("##[debug]Starting: ".length) : "";
}

// A script's steps are its own affair; only an action can hold steps of the workflow's kind, and a post step those of others.
function canHold({ kind, title, head }: StepMark, inner: "run" | "post"): boolean {
  return kind === inner && (kind === "post" || (head === "action" && isAction(title.slice("Run ".length))));
}

// The runner prints a script in bright cyan, the inputs of an action or its environment, if there are any.
function headOf(text: string): StepMark["head"] {
  if (text.startsWith("\u001b[36;1m")) return "script";
  return text === "with:" || text === "env:" || text === "##[endgroup]" ? "action" : "other";
}

/** `owner/name@ref`, `owner/name/path@ref`, or a path in the repository. */
export function isAction(uses: string): boolean {
  return /^(?:[\w.-]+\/[\w./-]+@\S+|\.?\.?\/[\w./-]*)$/.test(uses);
}

function isLastWord(text: string): boolean {
  return text.startsWith("Cleaning up orphan processes");
}

function isPrelude({ kind, text }: LineText): boolean {
  return (
    kind === "prelude" ||
    (kind === "warning" && (text.startsWith("##[warning]Unexpected input(s) '") || text.startsWith("##[warning]Input '")))
  );
}
