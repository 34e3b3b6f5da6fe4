// Wrong job objects in the ledger: a missing log is classified by the job as GitHub describes it at that time.

import type { Job } from "@actions-archive/github-simulator/world/model";
import { expect, test } from "vitest";

import { type Harness, openHarness } from "../test-support/harness.ts";

const none = { kind: "not-found" } as const;

async function logReasonOf({ recordOf }: Harness, job: Job): Promise<string | undefined> {
  const log = (await recordOf(job))?.log;
  return log?.state === "absent" ? log.reason : log?.state;
}

const change = ({ query }: Harness, patch: string) =>
  query(`update archive.log_jobs set object = (object::jsonb || '${patch}')::json`);

test("an object without runner and steps does not make a log not_run while GitHub's job has both", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob({ log: none });
  await change(harness, '{"runner_id": 0, "runner_name": null, "steps": [], "labels": ["gpu"]}');
  await harness.deliverTwice(job);
  expect(await logReasonOf(harness, job)).toBe("deleted");
});

test("an end in the past does not make a log expired while GitHub's job ended later", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob({ log: none });
  await change(harness, '{"completed_at": "2020-01-01T00:00:00Z"}');
  await harness.deliverTwice(job);
  expect(await logReasonOf(harness, job)).toBe("deleted");
});

test("an object that does not show whether the job ran leaves its log pending until GitHub's job has no runner", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob({ log: none, isWithoutRunner: true, conclusion: "cancelled", labels: ["gpu"] });
  await change(harness, '{"steps": null}');
  const { id } = harness.simulator.control.addFault({
    path: "*/actions/jobs/*",
    lie: { kind: "odd-object", patch: { steps: null } },
  });
  await harness.deliverTwice(job);
  expect(await harness.stateOf(job)).toMatchObject({
    log_state: "pending",
    log_detail: expect.stringContaining("does not show whether it ran"),
  });
  harness.simulator.control.clearFaults({ id });
  await harness.deliver(job);
  expect(await logReasonOf(harness, job)).toBe("not_run");
});

test("a log recorded as deleted becomes not_run once GitHub's job has no runner", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob({ log: none, isWithoutRunner: true, conclusion: "cancelled", labels: ["gpu"] });
  await change(harness, '{"steps": null}');
  await harness.query(
    "update archive.log_jobs set log_state = 'absent', log_reason = 'deleted', decided_at = now(), recheck_at = now()",
  );
  await harness.deliver(job);
  expect(await logReasonOf(harness, job)).toBe("not_run");
});

test("a log recorded as expired under a shorter retention is deleted or archived once the retention is known", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob({ log: none, agoMs: 3 * 86_400_000 });
  await harness.query("update archive.repositories set log_retention_days = 1");
  await harness.deliverTwice(job);
  expect(await logReasonOf(harness, job)).toBe("expired");
  await harness.query(
    "update archive.log_jobs set log_state = 'absent', log_reason = 'expired', decided_at = now(), recheck_at = now(); update archive.repositories set log_retention_days = 90",
  );
  await harness.deliver(job);
  expect(await logReasonOf(harness, job)).toBe("deleted");
  expect(await harness.listKeys("records/")).toHaveLength(2);
});
