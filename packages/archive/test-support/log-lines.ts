// Builds logs for tests from lines with the step that printed each line.

import { LogEncoder, type LogTotals } from "../src/log/log-format.ts";
import { splitLog } from "../src/log/steps/split-log.ts";
import type { JobStep } from "../src/log/steps/step-cost.ts";
import type { Section } from "../src/record/record.ts";

/** `at`: seconds after 12:00; undefined: no timestamp, continues the line above. `step`: the step that printed it; null: must be unassigned. */
export type OwnedLine = { readonly at: number | undefined; readonly text: string; readonly step: number | null };

const startMs = Date.UTC(2026, 4, 1, 12);

export function iso(at: number): string {
  return new Date(startMs + at * 1000).toISOString();
}

/** A timestamp as the runner prints it: `2026-05-01T12:00:07.2500000Z `. */
export function stamp(at: number): string {
  return `${iso(at).slice(0, -1)}0000Z `;
}

export function logBytes(lines: readonly Pick<OwnedLine, "at" | "text">[]): Buffer {
  return Buffer.from(lines.map(({ at, text }) => `${at === undefined ? "" : stamp(at)}${text}\n`).join(""));
}

export function encode(bytes: Buffer, chunkBytes = bytes.length): LogTotals {
  const encoder = new LogEncoder();
  for (let at = 0; at < bytes.length; at += chunkBytes) encoder.write(bytes.subarray(at, at + chunkBytes));
  return encoder.end().totals;
}

/** A step as GitHub lists it: times in whole seconds. */
export function jobStep(
  step_number: number,
  step_name: string,
  [from, to]: readonly [number, number],
  changes: Partial<JobStep> = {},
): JobStep {
  return { step_number, step_name, conclusion: "success", started_at: iso(from), completed_at: iso(to), ...changes };
}

/** The step of every line according to the sections. */
export function stepOfLine(sections: readonly Section[]): (number | null)[] {
  return sections.flatMap(({ step_number, line_count }) => Array.from({ length: line_count }, () => step_number));
}

export const line = (step: number | null, at: number | undefined, text: string): OwnedLine => ({ at, text, step });

export const setUp = [
  line(1, 0.1, "Current runner version: '2.329.0'"),
  line(1, 0.1, "##[group]Operating System"),
  line(1, 0.1, "Ubuntu"),
  line(1, 0.1, "##[endgroup]"),
  line(1, 0.4, "Complete job name: build"),
];
export const last = (step: number, at: number) => [line(step, at, "Cleaning up orphan processes")];
export const script = (step: number | null, at: number, run: string, ...output: string[]) => [
  line(step, at, `##[group]Run ${run}`),
  line(step, at, `\u001b[36;1m${run}\u001b[0m`),
  line(step, at, "shell: /usr/bin/bash -e {0}"),
  line(step, at, "##[endgroup]"),
  ...output.map((text) => line(step, at + 0.1, text)),
];
export const action = (step: number | null, at: number, uses: string, ...output: string[]) => [
  line(step, at, `##[group]Run ${uses}`),
  line(step, at, "with:"),
  line(step, at, "  token: ***"),
  line(step, at, "##[endgroup]"),
  ...output.map((text) => line(step, at + 0.1, text)),
];
export const post = (step: number | null, at: number, ...output: string[]) => [
  line(step, at, "Post job cleanup."),
  ...output.map((text) => line(step, at, text)),
];

/** The actual step of each line, and the step that the splitter found. */
export function split(lines: readonly OwnedLine[], steps: readonly JobStep[]) {
  const expected = lines.map(({ step }) => step);
  return { expected, found: stepOfLine(splitLog(encode(logBytes(lines)), steps)) };
}
