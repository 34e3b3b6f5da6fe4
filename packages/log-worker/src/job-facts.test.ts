import { expect, test } from "vitest";

import { jobFacts } from "./job-facts.ts";

const job = { id: 1, run_id: 2, status: "completed", conclusion: "failure", runner_id: 0, steps: [], labels: [] };

test.each([
  [{ ...job, conclusion: "cancelled" }, "not_run"],
  [{ ...job, labels: ["ubuntu-latest"] }, "not_run"],
  [{ ...job, runner_id: null }, "not_a_job"],
  [{ ...job, runner_id: 7, labels: ["ubuntu-latest"] }, undefined],
  [{ ...job, runner_id: undefined }, undefined],
  [{ ...job, steps: undefined }, undefined],
  [{ ...job, labels: undefined }, undefined],
])(
  "a job without runner and steps is classified by the fields that it has, and a missing field decides nothing: %j",
  (object, neverRan) => {
    expect(jobFacts(object).neverRan).toBe(neverRan);
  },
);
