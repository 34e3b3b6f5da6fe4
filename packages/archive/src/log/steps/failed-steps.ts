// Whose error it is, where several steps may have printed the line. A script that fails is followed by the runner's own line, and its
// step ends then: where the job has one failed step that ends within a second of that line, and no other step does, the line is its.

import type { AnnotationLine } from "../text/log-text.ts";
import type { JobStep } from "./step-cost.ts";

/** Steps' times are whole seconds, some rounded and some cut. */
const nearMs = 1250;

/** The step of each such line, and of the errors right above it, by line number. */
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

/** The runner's line after a script or program that failed. */
export function isExit(message: string): boolean {
  return message.startsWith("Process completed with exit code");
}

function isRightAbove(annotation: AnnotationLine | undefined, below: AnnotationLine | undefined): boolean {
  if (annotation === undefined || below === undefined || annotation.level !== "error" || isExit(annotation.message)) return false;
  const apart = Date.parse(below.time ?? "") - Date.parse(annotation.time ?? "");
  return annotation.line_number === below.line_number - 1 && apart < 1000;
}
