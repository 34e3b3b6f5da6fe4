// Kills a worker before and during each external call of archiving a log. In each case the next worker must bring the log to the same
// final state.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { zstdDecompressSync } from "node:zlib";

import type { Job } from "@actions-archive/github-simulator/world/model";
import { listFiles } from "@actions-archive/testkit/invariants/object-source";
import { Redis } from "ioredis";
import { expect, test } from "vitest";
import { z } from "zod";

import { type LogScenario, openLogScenario, type Order } from "./support/log-scenario.ts";
import { simulatedHost } from "./support/workspace.ts";

/** Random, so that it does not compress, and its stored form needs a spool file. */
const logBytes = 5_000_000;
const atOnce = 3;

const Record = z.object({ job_id: z.int(), log: z.record(z.string(), z.json()), previous_sha256: z.null() });

async function countCalls({ addJob, startWorker }: LogScenario): Promise<number> {
  await using worker = startWorker({ jobs: [await addJob(logBytes)] });
  const { code, stdout } = await worker.ended;
  expect(code, stdout).toBe(0);
  return z.object({ calls: z.int() }).parse(JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "")).calls;
}

/** @returns job ids of the records whose load is queued. */
async function listQueued({ settings, workspace }: LogScenario): Promise<number[]> {
  const identity = JSON.parse(await readFile(join(workspace.archive, "archive.json"), "utf8")) as { archive_id: string };
  const client = new Redis(settings["QUEUE_URL"] ?? "");
  try {
    const prefix = `actions-archive:${identity.archive_id}:${simulatedHost}:load:load-record-`;
    return (await client.keys(`${prefix}*`)).map((key) => Number(key.slice(prefix.length).split("-")[0]));
  } finally {
    client.disconnect();
  }
}

function folderOf(job: Job): string {
  return `${simulatedHost}/${job.run.repository.id}/${job.run.id}`;
}

test("kill -9 at every call of one archiving leads to the same end", { timeout: 600_000 }, async ({ annotate }) => {
  await using scenario = await openLogScenario();
  const { workspace, simulator, addJob, startWorker, endLeases, ask } = scenario;
  const calls = await countCalls(scenario);
  const crashes = Array.from({ length: calls }, (_, index) => index + 1).flatMap((call) => [
    { call, moment: "before" as const },
    { call, moment: "during" as const },
  ]);
  const dead: { readonly job: Job; readonly dieAt: NonNullable<Order["dieAt"]> }[] = [];
  const dieNext = async () => {
    for (let dieAt = crashes.shift(); dieAt; dieAt = crashes.shift()) {
      const job = await addJob(logBytes);
      await using worker = startWorker({ jobs: [job], dieAt });
      const { signal, stdout, stderr } = await worker.ended;
      expect(signal, `${JSON.stringify(dieAt)}\n${stdout}${stderr}`).toBe("SIGKILL");
      dead.push({ job, dieAt });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, dieNext));

  const left = await listFiles(workspace.archive);
  const isLogThere = (job: Job) => left.includes(`logs/${folderOf(job)}/${job.id}.log.zst`);
  const isRecordThere = (job: Job) => left.includes(`records/${folderOf(job)}/${job.id}.json`);
  const orphans = dead.filter(({ job }) => isLogThere(job) && !isRecordThere(job)).length;
  await annotate(`${calls} calls, ${dead.length} crashes, ${orphans} of them between the log and its record`);
  expect(orphans).toBeGreaterThan(0);
  simulator.control.clearJournal({});
  await endLeases();
  await using survivor = startWorker({ jobs: dead.map(({ job }) => job) });
  const { code, stdout, stderr } = await survivor.ended;
  expect(code, stdout + stderr).toBe(0);

  const files = await listFiles(workspace.archive);
  for (const { job, dieAt } of dead) {
    const at = JSON.stringify(dieAt);
    const key = `logs/${folderOf(job)}/${job.id}.log.zst`;
    const [log, recordKey] = [key, `records/${folderOf(job)}/${job.id}.json`];
    const own = files.filter((file) => dirname(file).endsWith(folderOf(job)) && !file.includes("/."));
    expect(own.toSorted(), at).toEqual([log, recordKey]);
    const raw = job.log.kind === "text" ? job.log.content : Buffer.alloc(0);
    const stored = await readFile(join(workspace.archive, log));
    expect(zstdDecompressSync(stored).equals(raw), at).toBe(true);
    const record = Record.parse(JSON.parse(await readFile(join(workspace.archive, recordKey), "utf8")));
    expect(record, at).toMatchObject({
      job_id: job.id,
      log: {
        state: "archived",
        flags: isLogThere(job) && !isRecordThere(job) ? ["adopted"] : [],
        key,
        raw_sha256: createHash("sha256").update(raw).digest("hex"),
        raw_bytes: raw.length,
        stored_sha256: createHash("sha256").update(stored).digest("hex"),
      },
    });
    // A log with a record is not requested again.
    const asked = simulator.journal.entries({ url: `/jobs/${job.id}/logs` }).length;
    expect(asked, at).toBe(isRecordThere(job) ? 0 : 1);
  }
  const rows = await ask(
    `select job_id::float8 as id, log_state, record_key from archive.log_jobs where record_key is not null order by job_id`,
  );
  const pending = dead.map(({ job }) => ({
    id: job.id,
    log_state: "pending",
    record_key: `records/${folderOf(job)}/${job.id}.json`,
  }));
  expect(rows.filter(({ id }) => dead.some(({ job }) => job.id === id))).toEqual(pending.toSorted((a, b) => a.id - b.id));
  expect(await ask("select job_id from archive.log_leases where worker is not null or crashes > 1")).toEqual([]);
  expect(new Set(await listQueued(scenario))).toEqual(new Set(rows.map(({ id }) => id)));
  expect(await listFiles(join(workspace.folder, "spool"))).toEqual([]);
});
