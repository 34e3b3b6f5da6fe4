// The text of a gap: where it is, why, and what to do.

import { FailedReason, GapKind } from "@actions-archive/core/states";
import type { Gap } from "@actions-archive/database/audit/gaps";
import { expect, test } from "vitest";

import { describeGap } from "./describe-gap.ts";

const gap: Gap = {
  kind: "log_failed",
  repository: "acme/app",
  run_id: 7,
  run_attempt: 2,
  job_id: 9,
  window_start: null,
  window_end: null,
  reason: "forbidden",
  detail: "GitHub says 403",
  since: new Date("2026-05-01T00:00:00Z"),
};
const noJob = { run_id: null, run_attempt: null, job_id: null };
const may = new Date("2026-05-01T00:00:00Z");

test("a failed log names its job, the cause, and the permission to grant", () => {
  expect(describeGap(gap)).toEqual({
    what: "log_failed",
    where: "acme/app job 9 (run 7)",
    since: gap.since,
    why: "forbidden: GitHub says 403",
    do: "grant the credential Actions: read, then `retry`",
  });
});

test.each<[Partial<Gap>, string]>([
  [{ kind: "run_open", job_id: null }, "acme/app run 7 attempt 2"],
  [
    { ...noJob, kind: "second_full", window_start: may, window_end: new Date(may.getTime() + 1000) },
    "acme/app 2026-05-01T00:00:00Z",
  ],
  [{ ...noJob, kind: "window_open", window_start: may }, "acme/app 2026-05-01T00:00:00Z to now"],
  [{ ...noJob, kind: "window_open", window_end: may }, "acme/app … to 2026-05-01T00:00:00Z"],
  [{ ...noJob, kind: "not_sealed", repository: null }, "the archive"],
  [{ kind: "object_unusable", run_attempt: null, job_id: null, window_start: may }, "acme/app run 7"],
  [{ ...noJob, kind: "object_unusable", window_start: may }, "acme/app 2026-05-01T00:00:00Z"],
])("%j is located at %s", (change, where) => {
  expect(describeGap({ ...gap, ...change }).where).toBe(where);
});

test("every kind and every reason of a failure has an action, or states that there is none", () => {
  const kinds = GapKind.options.map((kind) => describeGap({ ...gap, kind, reason: null }));
  const reasons = FailedReason.options.map((reason) => describeGap({ ...gap, reason }));
  for (const description of [...kinds, ...reasons]) expect(description.do).toMatch(/^[a-z].{10}/);
  expect(reasons.find(({ why }) => why.startsWith("too_large"))?.do).toContain("MAX_LOG_BYTES");
  expect(reasons.find(({ why }) => why.startsWith("redirect_refused"))?.do).toContain("GITHUB_LOG_HOSTS");
});

test("a gap with only a reason has no colon", () => {
  expect(describeGap({ ...gap, detail: null }).why).toBe("forbidden");
});
