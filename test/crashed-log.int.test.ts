// A log that crashes its worker every time: other logs of that worker are not affected, and the log is not retried indefinitely.

import type { Job } from "@actions-archive/github-simulator/world/model";
import { expect, test } from "vitest";

import { type LogScenario, openLogScenario } from "./support/log-scenario.ts";

async function logLeasesOf({ ask }: LogScenario): Promise<number[]> {
  const rows = await ask("select job_id::float8 as id from archive.log_leases where worker is not null order by job_id");
  return rows.map(({ id }) => Number(id));
}

async function statesOf({ ask }: LogScenario, job: Job): Promise<unknown> {
  const [row] = await ask(
    `select log_state, log_reason, record_key is not null as has_record, crashes
      from archive.log_jobs left join archive.log_leases using (job_id) where job_id = ${job.id}`,
  );
  return row;
}

/** Stalls the job's download, during which the worker is killed. */
function hang({ simulator }: LogScenario, job: Job): string {
  const path = `*-${job.id.toString(16).padStart(12, "0")}/logs/job/job-logs.txt`;
  return simulator.faults.add({ origin: "log", path, times: "forever", stallAfterBytes: 1_000 }).id;
}

async function killWhileAll(scenario: LogScenario, jobs: readonly Job[], inFlight: readonly Job[]): Promise<void> {
  const { simulator, startWorker, endLeases } = scenario;
  simulator.control.clearJournal({});
  await using worker = startWorker({ jobs });
  const hanging = () => simulator.journal.entries({ origin: "log" }).filter(({ finishedAt }) => finishedAt === undefined);
  await expect.poll(() => hanging().length, { timeout: 30_000 }).toBe(inFlight.length);
  expect(await logLeasesOf(scenario)).toEqual(inFlight.map(({ id }) => id).toSorted((a, b) => a - b));
  worker.stop("SIGKILL");
  await worker.ended;
  await endLeases();
}

test(
  "a log in flight at three crashes of its worker runs alone, and only a death while alone makes it crashed",
  { timeout: 300_000 },
  async () => {
    await using scenario = await openLogScenario();
    const { simulator, startWorker, addJob } = scenario;
    const [deadly, one, two] = [await addJob(50_000), await addJob(50_000), await addJob(50_000)];
    const jobs = [one, deadly, two];
    const [fault, ...others] = [deadly, one, two].map((job) => hang(scenario, job));
    for (let death = 0; death < 3; death++) await killWhileAll(scenario, jobs, jobs);
    for (const id of others) simulator.faults.clear(id);

    // From the fourth time on each log has the worker alone: the others are done before it, or wait until it ends.
    await killWhileAll(scenario, jobs, [deadly]);
    expect(await statesOf(scenario, deadly)).toEqual({ log_state: "pending", log_reason: null, has_record: false, crashes: 3 });

    {
      await using worker = startWorker({ jobs });
      const { code, stdout } = await worker.ended;
      expect(code, stdout).toBe(0);
      expect(stdout).toContain(`"reason":"crashed"`);
    }
    expect(await statesOf(scenario, deadly)).toEqual({
      log_state: "failed",
      log_reason: "crashed",
      has_record: false,
      crashes: 3,
    });
    for (const job of [one, two]) expect(await statesOf(scenario, job)).toMatchObject({ log_state: "pending", has_record: true });

    // A retry has the worker alone again, and succeeds once the log does no harm.
    await killWhileAll(scenario, [deadly], [deadly]);
    simulator.faults.clear(fault);
    for (let tries = 0; tries < 2; tries++) {
      await using worker = startWorker({ jobs: [deadly] });
      expect((await worker.ended).code).toBe(0);
    }
    expect(await statesOf(scenario, deadly)).toMatchObject({ has_record: true });
  },
);

test("neither errors nor a worker's shutdown count as crashes", async () => {
  await using scenario = await openLogScenario();
  const job = await scenario.addJob(50_000);
  scenario.simulator.faults.add({ origin: "log", times: 4, cutAfterBytes: 1_000 });
  for (let tries = 0; tries < 4; tries++) {
    await using worker = scenario.startWorker({ jobs: [job] });
    expect((await worker.ended).code).not.toBe(0);
  }
  expect(await statesOf(scenario, job)).toEqual({ log_state: "pending", log_reason: null, has_record: false, crashes: 0 });
});
