// Which line of a log is which step's, for 10,000 jobs whose truth is known: no line may be given to a wrong step, whatever the job's
// steps print. Prints a table by kind. STEP_JOBS is how many jobs, STEP_SEED the first seed.

import { jobKinds, measureKind } from "@actions-archive/archive/test-support/generated-kinds";
import Table from "cli-table3";
import { expect, test } from "vitest";

// oxlint-disable-next-line node/no-process-env -- how many jobs, and which, is for who starts them
const { STEP_JOBS = "10000", STEP_SEED = "100000" } = process.env;

test("no line of 10,000 jobs is given to a step that did not print it", () => {
  const kinds = Object.keys(jobKinds);
  const jobs = Math.ceil(Number(STEP_JOBS) / kinds.length);
  const figures = kinds.map((kind) => measureKind(kind, { jobs, firstSeed: Number(STEP_SEED) }));
  const table = new Table({ head: ["kind", "jobs", "lines", "wrong", "unassigned", "first line known", "wrong seeds"] });
  for (const { kind, lines, wrong, unassignedPercent, firstLinePercent, wrongSeeds } of figures)
    table.push([kind, jobs, lines, wrong, `${unassignedPercent} %`, `${firstLinePercent} %`, wrongSeeds.slice(0, 3).join(" ")]);
  process.stdout.write(`${table.toString()}\n`);
  expect(figures.filter(({ wrong }) => wrong > 0)).toEqual([]);
});
