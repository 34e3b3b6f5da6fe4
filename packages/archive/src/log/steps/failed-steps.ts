// Assigns errors to failed steps where several steps may have printed the line. After a failed script the runner prints a line of its
// own and the step ends. If exactly one step ends within about a second of that line, and it failed, the line belongs to it.

import type { AnnotationLine } from "../text/log-text.ts";
import type { JobStep } from "./step-cost.ts";

/** Steps' times are whole seconds, some rounded and some truncated. */
const nearMs = 1250;

/** The step number of each such line and of the errors directly above it, by line number. */
export function errorsOfFailedSteps(annotations: readonly AnnotationLine[], steps: readonly JobStep[]): Map<number, number> {
  const owners = new Map<number, number>();
  const exits = annotations.filter(({ message }) => isExit(message));
  const ends = steps.flatMap(({ step_number, conclusion, completed_at }) =>
    completed_at === null || conclusion === "skipped" ? [] : [{ step_number, conclusion, ms: Date.parse(completed_at) }],
  );
  for (const exit of exits) {
    const ms = Date.parse(exit.time ?? "");
    const [step, ...others] = ends.filter((end) => Math.abs(end.ms - ms) <= nearMs);
    const isOnly = exits.every((other) => other === exit || !(Math.abs(Date.parse(other.time ?? "") - ms) <= 2 * nearMs));
    if (step?.conclusion !== "failure" || others.length > 0 || !isOnly) continue;
    owners.set(exit.line_number, step.step_number);
    for (let index = annotations.indexOf(exit) - 1; isRightAbove(annotations[index], annotations[index + 1]); index -= 1)
      owners.set(annotations[index]?.line_number ?? 0, step.step_number);
  }
  return owners;
}

/** Whether it is the runner's line after a failed script or program. */
export function isExit(message: string): boolean {
  return message.startsWith("Process completed with exit code");
}

function isRightAbove(annotation: AnnotationLine | undefined, below: AnnotationLine | undefined): boolean {
  if (annotation === undefined || below === undefined || annotation.level !== "error" || isExit(annotation.message)) return false;
  const apart = Date.parse(below.time ?? "") - Date.parse(annotation.time ?? "");
  return annotation.line_number === below.line_number - 1 && apart < 1000;
}
