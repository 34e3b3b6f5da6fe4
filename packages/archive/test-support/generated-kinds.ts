// The kinds of generated jobs, named after what can mislead a splitter, and measures how well their lines are attributed.

import { logFacts } from "../src/log/facts/log-facts.ts";
import { generateJob } from "./generated-job.ts";
import type { JobTraits } from "./generated-plan.ts";
import { encode, stepOfLine } from "./log-lines.ts";

/**
 * Not included, since log and job object do not determine it: a log that ends before the control line for a background step that ended
 * within a second after the next step's start, and whose head was not directly above the next one's.
 */
export const jobKinds: Readonly<Record<string, JobTraits>> = {
  "ordinary steps": {},
  "composites with markers": { composites: "with markers" },
  "composites without markers": { composites: "without markers" },
  "background steps": { background: "steps" },
  "parallel groups": { background: "parallel group" },
  "background composites with markers": { background: "steps", composites: "with markers" },
  "background composites without markers": { background: "steps", composites: "without markers" },
  "clock set back": { clock: "back" },
  "clock set forward": { clock: "forward" },
  "clock set back, composites": { clock: "back", composites: "without markers" },
  "clock set back, background steps": { clock: "back", background: "steps" },
  "clock set forward, background steps": { clock: "forward", background: "steps" },
  "late steps": { isLate: true },
  "late steps, composites": { isLate: true, composites: "without markers" },
  "late steps, background steps": { isLate: true, background: "steps" },
  "log cut short": { isCut: true },
  "log cut short, composites": { isCut: true, composites: "without markers" },
  "log cut short, background steps": { isCut: true, background: "steps" },
  "blocks with byte order marks": { hasBoms: true },
  "blocks with byte order marks, composites": { hasBoms: true, composites: "without markers" },
  "blocks with byte order marks, background steps": { hasBoms: true, background: "steps" },
  "runner's texts in output": { isAdversarial: true },
  "runner's texts in output, composites": { isAdversarial: true, composites: "without markers" },
  "runner's texts in output, background steps": { isAdversarial: true, background: "steps" },
  "runner's texts in output, parallel groups": { isAdversarial: true, background: "parallel group" },
  "runner's texts in output, clock set back": { isAdversarial: true, clock: "back" },
};

export type KindFigures = {
  readonly kind: string;
  readonly jobs: number;
  readonly lines: number;
  /** Lines and annotations assigned to a step that did not print them. */
  readonly wrong: number;
  /** Lines of a step that were not assigned, in percent of all. */
  readonly unassignedPercent: number;
  /** Steps whose first line is known, in percent of those that printed something. */
  readonly firstLinePercent: number;
  /** Parameters that reproduce a job with wrong lines. */
  readonly wrongSeeds: readonly number[];
};

/** Splits `jobs` jobs of one kind, the seeds from `firstSeed` on. */
export function measureKind(
  kind: string,
  { jobs, firstSeed }: { readonly jobs: number; readonly firstSeed: number },
): KindFigures {
  const sums = { lines: 0, wrong: 0, unassigned: 0, steps: 0, firstLines: 0 };
  const wrongSeeds: number[] = [];
  for (let seed = firstSeed; seed < firstSeed + jobs; seed += 1) {
    const { bytes, steps, owners } = generateJob(seed, jobKinds[kind] ?? {});
    const { sections, annotations } = logFacts(encode(bytes), steps);
    const found = stepOfLine(sections);
    const isWrong = (step: number | null | undefined, line: number) => step !== null && step !== owners[line - 1];
    const wrong =
      found.filter((step, index) => isWrong(step, index + 1)).length +
      annotations.filter(({ step_number, line_number }) => isWrong(step_number, line_number)).length;
    if (wrong > 0) wrongSeeds.push(seed);
    const printing = new Set(owners.filter((owner) => owner !== null));
    sums.lines += owners.length;
    sums.wrong += wrong;
    sums.unassigned += found.filter((step, index) => step === null && owners[index] !== null).length;
    sums.steps += printing.size;
    sums.firstLines += [...printing].filter(
      (step) => sections.find(({ step_number }) => step_number === step)?.first_line === owners.indexOf(step) + 1,
    ).length;
  }
  return {
    kind,
    jobs,
    lines: sums.lines,
    wrong: sums.wrong,
    unassignedPercent: percent(sums.unassigned, sums.lines),
    firstLinePercent: percent(sums.firstLines, sums.steps),
    wrongSeeds,
  };
}

function percent(part: number, whole: number): number {
  return Math.round((1000 * part) / Math.max(1, whole)) / 10;
}
