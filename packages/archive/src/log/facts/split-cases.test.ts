// Jobs with a known correct split, in ../shared/cases.

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";
import { z } from "zod";

import { encode, stepOfLine } from "../../../test-support/log-lines.ts";
import { logFacts } from "./log-facts.ts";

const cases = fileURLToPath(new URL("../../../../../../shared/cases/", import.meta.url));
const isAbsent = !existsSync(cases);

const time = z.string().nullable();
const Job = z.object({
  steps: z.array(
    z.object({ number: z.int(), name: z.string(), conclusion: z.string().nullable(), started_at: time, completed_at: time }),
  ),
});

function factsOf(name: string, object: string) {
  const { steps } = Job.parse(JSON.parse(readFileSync(`${cases}${name}/${object}`, "utf8")));
  return logFacts(
    encode(readFileSync(`${cases}${name}/log.txt`)),
    steps.map(({ number, name: step_name, ...step }) => ({ step_number: number, step_name, ...step })),
  );
}

const firstLines = (name: string, object = "job.json") => {
  const found = new Map<number, number>();
  for (const { step_number, first_line } of factsOf(name, object).sections.toReversed())
    if (step_number !== null) found.set(step_number, first_line);
  return [...found].toSorted(([a], [b]) => a - b);
};

test.skipIf(isAbsent).each([
  ["background-service", "job.json", [[1, 1], [2, 3], [3, 8], [4, 13], [5, 31], [6, 38], [7, 46], [8, 49]]],
  ["parallel-group", "job.json", [[1, 1], [2, 4], [3, 9], [4, 11], [5, 17], [7, 104], [8, 108]]],
  ["composite-post-2025", "job.json", [[1, 1], [2, 9], [3, 12], [4, 17], [5, 26], [9, 30], [10, 34], [11, 35], [12, 37]]],
  ["late-steps", "job-listing.json", [[1, 1], [2, 2], [3, 6], [4, 10]]],
  ["late-steps", "job-delivery.json", [[1, 1], [2, 2]]],
] as const)("the steps of %s begin where they do, by %s (skipped without ../shared/cases)", (name, object, expected) => {
  expect(firstLines(name, object)).toEqual(expected);
}); // prettier-ignore

test.skipIf(isAbsent).each(["background-service", "parallel-group"])(
  "no line of %s is another step's (skipped without ../shared/cases)",
  (name) => {
    const truth = z.array(z.int()).parse(JSON.parse(readFileSync(`${cases}${name}/truth.json`, "utf8")));
    const found = stepOfLine(factsOf(name, "job.json").sections);
    expect(found.filter((step, index) => step !== null && step !== truth[index])).toEqual([]);
  },
);

test.skipIf(isAbsent)("errors of a step that failed among others have its number (skipped without ../shared/cases)", () => {
  const errors = [
    ...factsOf("background-service", "job.json").annotations,
    ...factsOf("late-steps", "job-listing.json").annotations,
  ];
  expect(errors.map(({ step_number, message }) => [step_number, message])).toContainEqual([6, "smoke failed"]);
  expect(errors.map(({ step_number, message }) => [step_number, message])).toContainEqual([3, "test failed"]);
});
