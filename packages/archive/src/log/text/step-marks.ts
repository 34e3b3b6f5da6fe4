// Finds marks, the lines where a step may begin, from the log's text alone. Most begin a step of the job; others begin a step inside a
// composite action, or are output that resembles the runner's.

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
  /** A step that waits for background steps or cancels them. */
  | "control"
  /** A local composite action downloads its actions, and lines of other steps come before its head. */
  | "prepare"
  | "debug"
  /** From annotations: a step that fails before it begins prints nothing else. */
  | "error";

export type StepMark = Place & {
  readonly kind: MarkKind;
  readonly ms: number | undefined;
  /** The group's title, the step's name in a debug line, or a control line. */
  readonly title: string;
  /** Its first line only. */
  readonly own: { readonly from: Place; readonly to: Place };
  /** Between the markers of a composite action, or the head of a step that an earlier mark begins. */
  readonly isNested: boolean;
  /** The kind of the first line below a group's title; undefined for other marks, and if there is no such line. */
  head: "script" | "action" | "other" | undefined;
  /** The first line after the step's head. */
  after: Place | undefined;
  /**
   * Other marks may be inside the step: the next mark follows its head directly, as the first step of a composite action does, where
   * other actions print something; or the mark is the first of several lines that the runner prints there.
   */
  holdsMarks: boolean;
};

/** Lines before a head: the place and time of the first, and the number of the last. */
type Prelude = {
  readonly from: Place;
  readonly to: Place;
  readonly time: string | undefined;
  readonly last: number;
  /** Contains the line with which the step of a local composite action begins. */
  isPreparing: boolean;
};

/** Marks kept at each end: a job that prints fake marks loses only the middle of its own log. */
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
  /** Number of steps that began to download a local composite action's actions and whose head has not come yet. */
  #detached = 0;

  /** Whether the text of the next line is needed, whatever its kind. */
  get wantsNext(): boolean {
    return this.#headLine !== -1;
  }

  /** Takes the next line. @param kind `markKind(line)`. @param isPreparing the line belongs to the downloads of a local composite action. */
  take(line: LineText, kind: MarkKind | undefined, isPreparing: boolean): void {
    // Before "Set up job" only lines about waiting for a runner are printed, so the first line of this kind is the real one.
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

  /** The marks in order. Call once, after the last line. */
  items(): StepMark[] {
    if (this.#prelude?.isPreparing === true) this.#detach(this.#prelude);
    return this.#marks.items();
  }

  get leftOut(): number {
    return this.#marks.leftOut;
  }

  /** The prelude before `line`, if `line` is its head or continues it (`isAbove`). */
  #preludeOf({ number, text, kind: lineKind }: LineText, kind: MarkKind | undefined, isAbove: boolean): Prelude | undefined {
    const prelude = this.#prelude;
    if (prelude === undefined) return undefined;
    const isNext = prelude.last === number - 1;
    if (!prelude.isPreparing) return isNext && (isAbove || kind === "run" || kind === "post") ? prelude : undefined;
    // Only local actions download their actions then. With background steps another step's head can come in between, and while two steps
    // download theirs, a head may belong to either.
    if (isNext && lineKind !== "prepare" && (isAbove || (isLocalHead(text) && this.#detached === 0))) return prelude;
    this.#detach(prelude);
    return undefined;
  }

  #detach({ from, to, time }: Prelude): void {
    this.#detached += 1;
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
    const isDetached = this.#detached > 0 && !isPreparing && kind === "run" && isLocalHead(line.text);
    if (isDetached) this.#detached -= 1;
    const mark: StepMark = {
      kind,
      ...from,
      own: { from, to },
      ms: time === undefined ? undefined : Date.parse(time),
      title: titleOf(line),
      // A hook directly after a step's head runs that step.
      isNested: isDetached || this.#composites.length > 0 || (kind === "hook-run" && this.#last?.after?.line === from.line),
      after: isGroup ? undefined : { line: line.number + 1, offset: line.end },
      head: undefined,
      holdsMarks: kind === "stop-containers" || kind === "debug" || (kind === "complete" && !isLastWord(line.text)),
    };
    this.#marks.push(mark);
    // In a job whose container is run by a hook, every step has this group. It is not a step and must not replace the last mark.
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
    // Composite actions in background steps end in any order, so only this one is removed, not those entered after it.
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

/** The kinds of lines that are also kinds of marks. */
const marksOfThemselves: ReadonlySet<unknown> = new Set(["set-up", "post", "complete", "hook", "stop-containers", "control"]);
const debugOfRunner = new Set(["##[debug]Starting: Set up job", "##[debug]Starting: Complete job"]);

/** The kind of mark of a line; undefined if no step can begin there. */
export function markKind({ kind, text }: Pick<LineText, "kind" | "text">): MarkKind | undefined {
  if (kind === "group") return groupMark(text.slice("##[group]".length));
  if (kind === "debug-step" || (kind === "debug-start" && debugOfRunner.has(text))) return "debug";
  return isMarkOfItself(kind) ? kind : undefined;
}

function isMarkOfItself(kind: LineText["kind"]): kind is MarkKind & LineText["kind"] {
  return marksOfThemselves.has(kind);
}

function groupMark(title: string): MarkKind | undefined {
  // The script of a hook: '/home/runner/hooks/start.sh'. No step has such a name.
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

// Only an action can contain other steps' marks, and a post step those of other post steps; a script cannot.
function canHold({ kind, title, head }: StepMark, inner: "run" | "post"): boolean {
  return kind === inner && (kind === "post" || (head === "action" && isAction(title.slice("Run ".length))));
}

// Below the title the runner prints a script in bright cyan, or the inputs or the environment of an action, if there are any.
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
