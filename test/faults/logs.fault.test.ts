// Logs that appear late, are incomplete at first, or grow while they are read.

import type { FaultInput } from "@actions-archive/github-simulator/http/faults";
import { expect, test } from "vitest";

import { openSmallSystem, type SmallSystem } from "../support/system/small-system.ts";
import { untilArchived } from "../support/system/waits.ts";

const jobs = 12;

/** Adds runs of two jobs that have just ended. @returns the ids of the jobs. */
function addJobs(system: SmallSystem): number[] {
  return Array.from({ length: jobs / 2 }, () => system.addRun()).flat();
}

/** @returns a part of the path of a job's log at the log host. */
function logPathOf(jobId: number): string {
  return `-${jobId.toString(16).padStart(12, "0")}/logs/`;
}

/** Adds a fault for the next answers of the log host, for each of these logs. */
function spoilLogs({ simulator }: SmallSystem, jobIds: readonly number[], fault: FaultInput): void {
  for (const id of jobIds) simulator.faults.add({ ...fault, origin: "log", path: `*${logPathOf(id)}*` });
}

test("no log is there for 15 s after its job's end, first by a 404, then by the log host", async ({ annotate }) => {
  await using system = await openSmallSystem({ world: { logDelaySeconds: 15 } });
  const { simulator } = system;
  system.startAll();
  await system.settled();
  const addedJobs = addJobs(system);
  for (const id of addedJobs)
    simulator.faults.add({
      origin: "api",
      path: `*/actions/jobs/${id}/logs`,
      times: 2,
      status: 404,
      body: '{"message":"Not Found"}',
    });
  const seconds: number[] = [];
  for (const id of addedJobs) seconds.push(Number(await untilArchived(system, id)));
  const asked = addedJobs.map((id) => simulator.journal.entries({ origin: "api", url: `/actions/jobs/${id}/logs` }).length);
  expect(Math.min(...asked)).toBeGreaterThan(2);
  const { verdict } = await system.expectWhole();
  await annotate(
    `${addedJobs.length} logs that were not there: asked for ${Math.min(...asked)} to ${Math.max(...asked)} times each, the last archived after ${seconds.reduce((sum, each) => sum + each).toFixed(1)} s; ${verdict.jobs} jobs`,
    "F13",
  );
});

test("logs are half there at their first reading, and appear complete", async ({ annotate }) => {
  await using system = await openSmallSystem();
  const { simulator } = system;
  simulator.control.holdWebhooks({});
  const addedJobs = addJobs(system);
  spoilLogs(system, addedJobs, { endAfterBytes: 1_000 });
  await simulator.control.releaseWebhooks({});
  system.startAll();
  const settled = await system.settled();
  const readings = addedJobs.map((id) => simulator.journal.entries({ origin: "log", url: logPathOf(id) }).length);
  expect(readings).toEqual(addedJobs.map(() => 2));
  const flagged = await system.postgres.ask(
    "select count(*)::int as jobs from audit.jobs where job_id = any ($1) and log_flags && array['no_end_marker']",
    [addedJobs],
  );
  expect(flagged).toEqual([{ jobs: 0 }]);
  const { verdict } = await system.expectWhole();
  await annotate(
    `${addedJobs.length} logs: each read twice and stored whole; all ${verdict.jobs} jobs settled in ${settled.toFixed(1)} s`,
    "F15",
  );
});

test("logs grow while they are read, and the connection breaks: no log is made of two states", async ({ annotate }) => {
  await using system = await openSmallSystem();
  const { simulator } = system;
  const { control, journal } = simulator;
  const addedJobs = addJobs(system);
  const growths = addedJobs.map(async (jobId) => {
    const cut = journal.next({ origin: "log", url: logPathOf(jobId) });
    spoilLogs(system, [jobId], { cutAfterBytes: 1_500 });
    await cut;
    const at = new Date().toISOString();
    const lines = Array.from({ length: 200 }, (_, line) => `${at.slice(0, -1)}0000Z what it says now, line ${line}`);
    control.setLog({ jobId, text: `${lines.join("\n")}\n${at.slice(0, -1)}0000Z Cleaning up orphan processes\n` });
  });
  system.startAll();
  await Promise.all(growths);
  const settled = await system.settled();
  const { verdict } = await system.expectWhole();
  await annotate(
    `${addedJobs.length} logs that grew after a cut: each stored as it was in the end; all ${verdict.jobs} jobs settled in ${settled.toFixed(1)} s`,
    "N4",
  );
});
