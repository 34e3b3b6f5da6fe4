// The schemas accept all recorded objects, if the recordings are available, and refuse invalid ones.

import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

import { WorkflowJob, WorkflowRun } from "./schemas.ts";

const fixtures = join(import.meta.dirname, "../../../../shared/fixtures");

/** Every object in a recording with the shape of a job or a run, at any depth, also in escaped JSON. */
function collect(value: unknown, found: { jobs: unknown[]; runs: unknown[] }): void {
  if (typeof value === "string" && /^\s*[[{]/.test(value)) {
    try {
      collect(JSON.parse(value), found);
    } catch {
      // A text that is not JSON.
    }
  }
  if (typeof value !== "object" || value === null) return;
  if ("base64_string" in value) return collect(Buffer.from(String(value.base64_string), "base64").toString("utf8"), found);
  if ("run_id" in value && "status" in value && "name" in value && "run_url" in value) found.jobs.push(value);
  else if ("run_number" in value && "jobs_url" in value && "created_at" in value) found.runs.push(value);
  for (const child of Object.values(value)) collect(child, found);
}

test.skipIf(!existsSync(fixtures))("every recorded job and run is accepted (skipped without ../shared/fixtures)", () => {
  const found = { jobs: [] as unknown[], runs: [] as unknown[] };
  for (const path of globSync("{api,webhooks}/**/*.json", { cwd: fixtures })) {
    try {
      collect(JSON.parse(readFileSync(join(fixtures, path), "utf8")), found);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
  }
  expect(found.jobs.length).toBeGreaterThanOrEqual(30);
  expect(found.runs.length).toBeGreaterThanOrEqual(90);
  const refused = [
    ...found.jobs.map((job) => WorkflowJob.safeParse(job)),
    ...found.runs.map((run) => WorkflowRun.safeParse(run)),
  ].filter(({ success }) => !success);
  expect(refused).toEqual([]);
});

test("a job with the least a server sends is taken", () => {
  expect(WorkflowJob.safeParse({ id: 1, run_id: 2, name: "build", status: "queued" }).success).toBe(true);
});

test("unknown statuses are accepted, invalid ids are not", () => {
  const job = {
    id: 1,
    run_id: 2,
    name: "build",
    status: "frozen",
    conclusion: "melted",
    steps: [{ number: 9, name: "x", status: "odd" }],
  };
  expect(WorkflowJob.safeParse(job).success).toBe(true);
  expect(WorkflowJob.safeParse({ ...job, id: "1" }).success).toBe(false);
  expect(WorkflowJob.safeParse({ ...job, run_id: 2 ** 60 }).success).toBe(false);
});
