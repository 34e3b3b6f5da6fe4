// The lines where a step may begin, as a log's text alone shows them. Most are the starts of steps; others are those of the
// steps inside a composite action, or output that only looks like the runner's.

import { FirstAndLast } from "./first-and-last.ts";
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
  | "debug"
  /** Taken from annotations: a step that fails before it begins says nothing else. */
  | "error";

export type StepMark = Place & {
  readonly kind: MarkKind;
  readonly ms: number | undefined;
  /** The group's title, or the step's name in a line of debugging. */
  readonly title: string;
  /** Between the marks of a composite action. */
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

/** Kept from either end: a job that prints faked marks hides the middle of its own log only. */
const halfOfMarks = 500;
const maxDepth = 100;
const maxTitle = 300;

export class StepMarks {
  readonly #marks = new FirstAndLast<StepMark>(halfOfMarks);
  readonly #composites: string[] = [];
  #last: StepMark | undefined;
  #isHeadOpen = false;
  /** The line below the last group's title. */
  #headLine = -1;
  /** Lines that the runner prints before a step's own first line, right above the current one. */
  #prelude: { readonly first: Place; last: number } | undefined;

  /** Whether the text of the next line is needed, whatever it is. */
  get wantsNext(): boolean {
    return this.#headLine !== -1;
  }

  /** `kind` is `markKind(line)`; `isPreparing`: the line is of a block that gets a local composite action's actions. */
  take(line: LineText, kind: MarkKind | undefined, isPreparing: boolean): void {
    const { number, start, end } = line;
    const prelude = this.#prelude?.last === number - 1 ? this.#prelude : undefined;
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
      if (isPreparing || isPrelude(line)) {
        if (isPreparing && line.kind === "prepare") this.#noteNested("run", prelude?.first.line ?? number);
        this.#prelude = { first: prelude?.first ?? { line: number, offset: start }, last: number };
      }
      return;
    }
    const first = prelude !== undefined && (kind === "run" || kind === "post") ? prelude.first : { line: number, offset: start };
    if (kind === "run" || kind === "post") this.#noteNested(kind, first.line);
    this.#push(line, kind, first);
  }

  items(): StepMark[] {
    return this.#marks.items();
  }

  get leftOut(): number {
    return this.#marks.leftOut;
  }

  #push(line: LineText, kind: MarkKind, first: Place): void {
    const isGroup = line.kind === "group";
    const mark: StepMark = {
      kind,
      ...first,
      ms: line.time === undefined ? undefined : Date.parse(line.time),
      title: titleOf(line),
      // A hook that runs right after a step's head runs that step.
      isNested: this.#composites.length > 0 || (kind === "hook-run" && this.#last?.after?.line === first.line),
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

  #noteNested(kind: "run" | "post", firstLine: number): void {
    if (this.#last?.after?.line === firstLine && canHold(this.#last, kind)) this.#last.holdsMarks = true;
  }

  #enter({ number, text }: LineText): void {
    if (this.#last?.kind === "run" || this.#last?.kind === "post") this.#noteNested(this.#last.kind, number);
    const id = /;id=([^;\]]*)\]$/.exec(text)?.[1];
    if (id !== undefined && this.#composites.length < maxDepth) this.#composites.push(id);
  }

  #leave(text: string): void {
    const id = /^##\[end-action id=([^;\]]*);/.exec(text)?.[1];
    const depth = id === undefined ? -1 : this.#composites.lastIndexOf(id);
    if (depth !== -1) this.#composites.length = depth;
  }
}

/** The kinds of lines that are marks by themselves. */
const marksOfThemselves: ReadonlySet<unknown> = new Set(["set-up", "post", "complete", "hook", "stop-containers"]);
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
