// Collects marks, groups, annotations and the runner's facts in the same pass that stores the log, in bounded memory. split-log.ts
// assigns lines to steps afterwards.

import { HeadTailBuffer } from "./head-tail-buffer.ts";
import type { Line, LineListener, LineText } from "./line-scanner.ts";
import { type ActionDownload, type RunnerFacts, SetupJobParser } from "./setup-job-parser.ts";
import { markKind, type StepMark, StepMarks } from "./step-marks.ts";
import { TimePoints, type Times } from "./time-points.ts";

export type AnnotationLine = {
  readonly level: "error" | "warning" | "notice";
  readonly line_number: number;
  readonly start: number;
  /** Offset of the first byte after the annotation's first line. */
  readonly end: number;
  readonly time: string | undefined;
  /** Text of all of its lines, without empty lines at either end; at most `maxMessage` units. */
  message: string;
};

/** A foldable group of lines. */
export type Group = { readonly title: string; readonly first_line: number; line_count?: number };

export type LogText = {
  readonly marks: readonly StepMark[];
  readonly times: Times;
  readonly groups: readonly Group[];
  readonly annotations: readonly AnnotationLine[];
  readonly downloads: readonly ActionDownload[];
  readonly runner: RunnerFacts;
  readonly tokenPermissions: Readonly<Record<string, string>>;
  readonly usesLockedActions: boolean;
  readonly leftOut: {
    readonly marks: number;
    readonly groups: number;
    readonly annotations: number;
    readonly action_uses: number;
    readonly token_permissions: number;
  };
};

/** GitHub itself stores ten annotations per kind and step, and 4,096 characters of each. */
const halfOfAnnotations = 200;
const halfOfGroups = 250;
/** In UTF-16 units, including newlines. The line number points to the rest in the log. */
const maxMessage = 500;
const maxTitle = 200;
/** GitHub's groups do not nest. The limit bounds the memory for a program that never closes its groups. */
const maxOpenGroups = 50;

/** Collects facts from a log's lines. Uses at most about 3 MB, and about 10 KB for most logs. */
export class LogTextReader implements LineListener {
  readonly #annotations = new HeadTailBuffer<AnnotationLine>(halfOfAnnotations);
  /** The annotation whose message continues in the next line, if that line has no timestamp. */
  #openAnnotation: AnnotationLine | undefined;
  readonly #groups = new HeadTailBuffer<Group>(halfOfGroups);
  readonly #open: Group[] = [];
  readonly #marks = new StepMarks();
  readonly #times = new TimePoints();
  readonly #setUp = new SetupJobParser();

  onLine(line: Line): boolean {
    const beginsDay = this.#times.take(line);
    // The runner stamps each message once, so only the first line of a multi-line message has a timestamp.
    if (line.second !== -1) this.#openAnnotation = undefined;
    const continuesMessage = this.#openAnnotation !== undefined;
    return beginsDay || line.kind !== undefined || continuesMessage || this.#setUp.wantsAll || this.#marks.wantsNext;
  }

  wantsPlain(): boolean {
    return this.#openAnnotation !== undefined || this.#setUp.wantsAll || this.#marks.wantsNext;
  }

  onText(line: LineText): void {
    this.#times.addDay(line);
    const { kind, number, start, end, time, text } = line;
    const mark = markKind(line);
    this.#setUp.take(line, mark);
    this.#marks.take(line, mark, this.#setUp.isPreparing);
    if (this.#openAnnotation !== undefined) this.#addToMessage(this.#openAnnotation, text);
    else if (kind === "group") this.#openGroup(line);
    else if (kind === "end-group") this.#closeGroup(number);
    else if (kind === "error" || kind === "warning" || kind === "notice") {
      this.#openAnnotation = { level: kind, line_number: number, start, end, time, message: "" };
      this.#annotations.push(this.#openAnnotation);
      this.#addToMessage(this.#openAnnotation, text.slice(text.indexOf("]") + 1));
    }
  }

  /** Call once, after the last line. */
  end(): LogText {
    return {
      marks: this.#marks.items(),
      times: this.#times,
      groups: this.#groups.items(),
      annotations: this.#annotations
        .items()
        .map((annotation) => ({ ...annotation, message: annotation.message.replace(/\n+$/, "") })),
      downloads: this.#setUp.downloads,
      runner: this.#setUp.runner,
      usesLockedActions: this.#setUp.usesLockedActions,
      tokenPermissions: Object.fromEntries(this.#setUp.tokenPermissions),
      leftOut: {
        marks: this.#marks.leftOut,
        groups: this.#groups.leftOut,
        annotations: this.#annotations.leftOut,
        action_uses: this.#setUp.downloadsLeftOut,
        token_permissions: this.#setUp.permissionsLeftOut,
      },
    };
  }

  #addToMessage(annotation: AnnotationLine, text: string): void {
    const message = annotation.message === "" ? text : `${annotation.message}\n${text}`;
    annotation.message = message.slice(0, maxMessage).toWellFormed();
    if (message.length >= maxMessage) this.#openAnnotation = undefined;
  }

  #openGroup({ number, text }: LineText): void {
    const group = { title: text.slice("##[group]".length, maxTitle).trim().toWellFormed(), first_line: number };
    this.#groups.push(group);
    if (this.#open.length < maxOpenGroups) this.#open.push(group);
  }

  #closeGroup(number: number): void {
    const group = this.#open.pop();
    if (group !== undefined) group.line_count = number - group.first_line + 1;
  }
}
