import fc from "fast-check";
import { expect, test } from "vitest";

import { readWebhookEvent } from "./webhook-event.ts";

const now = new Date("2026-11-01T12:00:00Z");
const repository = { id: 7, full_name: "octo-org/api", private: true };
const job = {
  id: 70,
  run_id: 700,
  run_attempt: 2,
  name: "build",
  status: "completed",
  conclusion: "success",
  started_at: "2026-11-01T11:00:00Z",
  completed_at: "2026-11-01T11:05:00Z",
  of_next_year: { deep: [1] },
};
const run = {
  id: 700,
  run_attempt: 2,
  status: "in_progress",
  created_at: "2026-10-30T11:00:00Z",
  updated_at: "2026-11-01T11:00:00Z",
};

const jobEvent = (workflow_job: unknown, action = "completed") =>
  readWebhookEvent("workflow_job", JSON.stringify({ action, repository, workflow_job }), now);
const runEvent = (workflow_run: unknown, action = "in_progress") =>
  readWebhookEvent("workflow_run", JSON.stringify({ action, repository, workflow_run }), now);

test("a completed job is read with its object as received", () => {
  expect(jobEvent(job)).toEqual({
    action: "completed",
    repository: { id: 7, full_name: "octo-org/api" },
    seenAt: new Date("2026-11-01T11:05:00Z"),
    subject: { kind: "job", object: job, run_id: job.run_id, attempt: 2 },
  });
});

test("a run is read with its attempt and whether it is over", () => {
  expect(runEvent(run)?.subject).toEqual({ kind: "run", object: run, run_id: 700, attempt: 2, isOver: false });
  expect(runEvent({ ...run, status: "completed" }, "completed")?.subject).toMatchObject({ isOver: true });
  expect(runEvent({ ...run, run_attempt: undefined }, "requested")?.subject).toMatchObject({ attempt: 1 });
});

test("a form has the payload in its field", () => {
  const body = new URLSearchParams({
    payload: JSON.stringify({ action: "completed", repository, workflow_job: job }),
  }).toString();
  expect(readWebhookEvent("workflow_job", body, now)?.subject).toEqual({
    kind: "job",
    object: job,
    run_id: job.run_id,
    attempt: 2,
  });
});

test.each([
  ["no job", null],
  ["a job in progress", { ...job, status: "in_progress" }],
  ["a job without a run", { ...job, run_id: null }],
  ["a job whose id is text", { ...job, id: "70" }],
  ["a job of attempt 0", { ...job, run_attempt: 0 }],
  ["a job of an attempt that no run has", { ...job, run_attempt: 2_000_000_000 }],
  ["a job that ends next year", { ...job, completed_at: "2027-11-01T11:05:00Z" }],
  ["a job whose end is no time", { ...job, completed_at: "soon" }],
])("%s yields nothing to record", (_what, object) => {
  expect(jobEvent(object)).toMatchObject({ action: "completed", subject: undefined });
});

test.each([
  ["no run", null],
  ["a run of an attempt that no run has", { ...run, run_attempt: 2_000_000_000 }],
  ["a run that changes next year", { ...run, updated_at: "2027-11-01T11:05:00Z" }],
  ["a run that was never created", { ...run, created_at: null }],
])("%s yields nothing to record", (_what, object) => {
  expect(runEvent(object)?.subject).toBeUndefined();
});

test("other events, actions and bodies yield nothing", () => {
  expect(jobEvent(job, "queued")).toBeUndefined();
  expect(jobEvent(job, "completed_again")).toBeUndefined();
  expect(runEvent(run, "deleted")).toBeUndefined();
  expect(readWebhookEvent("ping", JSON.stringify({ zen: "Keep it logically awesome.", hook_id: 1 }), now)).toBeUndefined();
  expect(
    readWebhookEvent("check_run", JSON.stringify({ action: "completed", repository, workflow_job: job }), now),
  ).toBeUndefined();
  for (const body of ["", "null", "[]", "{", "payload=%7B", "\0", "1"])
    expect(readWebhookEvent("workflow_job", body, now), body).toBeUndefined();
});

test.each([
  "",
  "api",
  "octo-org/api/more",
  "../api",
  "octo-org/..",
  "octo-org/a b",
  `octo-org/${"a".repeat(200)}`,
  "octo-org/\u202eapi",
])("a repository cannot be named %j", (full_name) => {
  const body = JSON.stringify({ action: "completed", repository: { id: 7, full_name }, workflow_job: job });
  expect(readWebhookEvent("workflow_job", body, now)).toBeUndefined();
});

test("no payload causes an error", () => {
  const hostile = fc.oneof(fc.jsonValue(), fc.constant(job), fc.constant(run), fc.constant(repository));
  const payload = fc.record(
    { action: hostile, repository: fc.oneof(hostile, fc.constant(repository)), workflow_job: hostile, workflow_run: hostile },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.constantFrom("workflow_job", "workflow_run", "ping", ""), payload, (event, value) => {
      readWebhookEvent(event, JSON.stringify(value), now);
    }),
  );
  fc.assert(fc.property(fc.string(), (body) => void readWebhookEvent("workflow_job", body, now)));
});
