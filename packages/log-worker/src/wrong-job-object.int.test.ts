// A job object in the ledger that was wrong: why a log is not there is decided by the job as GitHub describes it when the log is missing.

import type { Job } from "@actions-archive/github-simulator/world/model";
import { expect, test } from "vitest";

import { type Bench, openBench } from "../test-support/harness.ts";

const none = { kind: "not-found" } as const;

async function reasonOf({ recordOf }: Bench, job: Job): Promise<string | undefined> {
  const log = (await recordOf(job))?.log;
  return log?.state === "absent" ? log.reason : log?.state;
}

const change = ({ ask }: Bench, patch: string) =>
  ask(`update archive.obligations set object = (object::jsonb || '${patch}')::json`);

test("an object without runner and steps makes no log not_run while the job itself names both", async () => {
  await using bench = await openBench();
  const job = await bench.addJob({ log: none });
  await change(bench, '{"runner_id": 0, "runner_name": null, "steps": [], "labels": ["gpu"]}');
  await bench.deliverTwice(job);
  expect(await reasonOf(bench, job)).toBe("deleted");
});

test("an end in the past makes no log expired while the job itself ended later", async () => {
  await using bench = await openBench();
  const job = await bench.addJob({ log: none });
  await change(bench, '{"completed_at": "2020-01-01T00:00:00Z"}');
  await bench.deliverTwice(job);
  expect(await reasonOf(bench, job)).toBe("deleted");
});

test("an object that does not say whether the job ran leaves its log pending until GitHub says that it never had a runner", async () => {
  await using bench = await openBench();
  const job = await bench.addJob({ log: none, isWithoutRunner: true, conclusion: "cancelled", labels: ["gpu"] });
  await change(bench, '{"steps": null}');
  const { id } = bench.simulator.control.addFault({
    path: "*/actions/jobs/*",
    lie: { kind: "odd-object", patch: { steps: null } },
  });
  await bench.deliverTwice(job);
  expect(await bench.stateOf(job)).toMatchObject({
    log_state: "pending",
    log_detail: expect.stringContaining("does not say whether it ran"),
  });
  bench.simulator.control.clearFaults({ id });
  await bench.deliver(job);
  expect(await reasonOf(bench, job)).toBe("not_run");
});

test("a log that was called deleted is not_run once GitHub says that the job never had a runner", async () => {
  await using bench = await openBench();
  const job = await bench.addJob({ log: none, isWithoutRunner: true, conclusion: "cancelled", labels: ["gpu"] });
  await change(bench, '{"steps": null}');
  await bench.ask(
    "update archive.obligations set log_state = 'absent', log_reason = 'deleted', decided_at = now(), relook_at = now()",
  );
  await bench.deliver(job);
  expect(await reasonOf(bench, job)).toBe("not_run");
});

test("a log that was called expired under a shorter retention is deleted, or archived, once the retention is known", async () => {
  await using bench = await openBench();
  const job = await bench.addJob({ log: none, agoMs: 3 * 86_400_000 });
  await bench.ask("update archive.repositories set log_retention_days = 1");
  await bench.deliverTwice(job);
  expect(await reasonOf(bench, job)).toBe("expired");
  await bench.ask(
    "update archive.obligations set log_state = 'absent', log_reason = 'expired', decided_at = now(), relook_at = now(); update archive.repositories set log_retention_days = 90",
  );
  await bench.deliver(job);
  expect(await reasonOf(bench, job)).toBe("deleted");
  expect(await bench.listKeys("records/")).toHaveLength(2);
});
