// A log that kills its worker, again and again: the logs beside it are not blamed, and it is not tried for ever.

import type { Job } from "@actions-archive/github-simulator/world/model";
import { expect, test } from "vitest";

import { type LogStage, openLogStage } from "./support/log-stage.ts";

async function logLeasesOf({ ask }: LogStage): Promise<number[]> {
  const rows = await ask("select job_id::float8 as id from archive.logs_in_flight where worker is not null order by job_id");
  return rows.map(({ id }) => Number(id));
}

async function statesOf({ ask }: LogStage, job: Job): Promise<unknown> {
  const [row] = await ask(
    `select log_state, log_reason, record_key is not null as has_record, deaths
      from archive.obligations left join archive.logs_in_flight using (job_id) where job_id = ${job.id}`,
  );
  return row;
}

/** Its download hangs in the middle, which is when its worker is killed. */
function hang({ simulator }: LogStage, job: Job): string {
  const path = `*-${job.id.toString(16).padStart(12, "0")}/logs/job/job-logs.txt`;
  return simulator.faults.add({ origin: "log", path, times: "forever", stallAfterBytes: 1_000 }).id;
}

async function killWhileAll(stage: LogStage, jobs: readonly Job[], inFlight: readonly Job[]): Promise<void> {
  const { simulator, startWorker, endLeases } = stage;
  simulator.control.clearJournal({});
  await using worker = startWorker({ jobs });
  const hanging = () => simulator.journal.entries({ origin: "log" }).filter(({ finishedAt }) => finishedAt === undefined);
  await expect.poll(() => hanging().length, { timeout: 30_000 }).toBe(inFlight.length);
  expect(await logLeasesOf(stage)).toEqual(inFlight.map(({ id }) => id).toSorted((a, b) => a - b));
  worker.stop("SIGKILL");
  await worker.ended;
  await endLeases();
}

test(
  "a log in flight at three deaths of its worker runs alone, and only a death while alone makes it crashed",
  { timeout: 300_000 },
  async () => {
    await using stage = await openLogStage();
    const { simulator, startWorker, addJob } = stage;
    const [deadly, one, two] = [await addJob(50_000), await addJob(50_000), await addJob(50_000)];
    const jobs = [one, deadly, two];
    const [fault, ...others] = [deadly, one, two].map((job) => hang(stage, job));
    for (let death = 0; death < 3; death++) await killWhileAll(stage, jobs, jobs);
    for (const id of others) simulator.faults.clear(id);

    // The fourth time each has the worker for itself: the others are done before it, or wait behind it.
    await killWhileAll(stage, jobs, [deadly]);
    expect(await statesOf(stage, deadly)).toEqual({ log_state: "pending", log_reason: null, has_record: false, deaths: 3 });

    {
      await using worker = startWorker({ jobs });
      const { code, stdout } = await worker.ended;
      expect(code, stdout).toBe(0);
      expect(stdout).toContain(`"reason":"crashed"`);
    }
    expect(await statesOf(stage, deadly)).toEqual({ log_state: "failed", log_reason: "crashed", has_record: false, deaths: 3 });
    for (const job of [one, two]) expect(await statesOf(stage, job)).toMatchObject({ log_state: "pending", has_record: true });

    // Tried again it runs alone again, and is archived once it does no harm.
    await killWhileAll(stage, [deadly], [deadly]);
    simulator.faults.clear(fault);
    for (let tries = 0; tries < 2; tries++) {
      await using worker = startWorker({ jobs: [deadly] });
      expect((await worker.ended).code).toBe(0);
    }
    expect(await statesOf(stage, deadly)).toMatchObject({ has_record: true });
  },
);

test("an error, however often, is no death, and neither is a worker that was asked to let go", async () => {
  await using stage = await openLogStage();
  const job = await stage.addJob(50_000);
  stage.simulator.faults.add({ origin: "log", times: 4, cutAfterBytes: 1_000 });
  for (let tries = 0; tries < 4; tries++) {
    await using worker = stage.startWorker({ jobs: [job] });
    expect((await worker.ended).code).not.toBe(0);
  }
  expect(await statesOf(stage, job)).toEqual({ log_state: "pending", log_reason: null, has_record: false, deaths: 0 });
});
