// Assigns the lines of 10,000 generated logs to steps, and compares with the generator: no line may be assigned to a wrong step, whatever
// the steps print. Prints a table by kind. STEP_JOBS is the number of jobs, STEP_SEED the first seed.

import { jobKinds, measureKind } from "@actions-archive/archive/test-support/generated-kinds";
import Table from "cli-table3";
import { expect, test } from "vitest";

// oxlint-disable-next-line node/no-process-env -- the tester chooses the jobs
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
