// What erase decides and refuses for one log, by its job, seal and holds.

import { openTestDatabase } from "@actions-archive/testkit/test-database";
import { expect, test } from "vitest";

import { openRetention } from "../../test-support/retention.ts";
import { jobId, jobObject, logRow, runId } from "../../test-support/samples.ts";
import { recordJobs } from "../ledger/log-jobs.ts";
import { retryFailedLogs, recordTerminalStates } from "../ledger/log-states.ts";
import { recordObjects } from "../ledger/objects.ts";
import { upsertJobs, upsertLogs } from "../rows/rows.ts";
import { eraseLog } from "./erase-log.ts";
import { holdJobs } from "./holds.ts";
import { applyTombstones } from "./tombstones.ts";

async function openSealedLog() {
  const database = await openTestDatabase();
  const archive = openRetention(database);
  await archive.addArchive();
  await archive.addLog({ annotations: ["token=hunter2", "and again"] });
  await archive.seal();
  return { ...archive, [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() };
}

test("an erased log is absent and removed in the rows, with a tombstone that waits for a seal, and nothing of its text", async () => {
  await using archive = await openSealedLog();
  const [before] = await archive.ask("select sha256 from archive.objects");
  const erasure = await eraseLog(archive.db, jobId, "prints a key");
  expect(erasure).toMatchObject({
    job_id: jobId,
    is_new: true,
    annotations: 2,
    record_key: `records/github.com/700000001/${runId}/${jobId}.json`,
    objects: [{ object_key: archive.keyOf(jobId), cause: "erase", reason: "prints a key", sealed_in: null, removed_at: null }],
  });
  expect(
    await archive.ask(
      "select log_state, log_reason, log_flags, log_key, log_bytes, log_sha256, log_lines, log_first_line_at, archived_at, record_version from audit.jobs",
    ),
  ).toEqual([
    {
      log_state: "absent",
      log_reason: "removed",
      log_flags: [],
      log_key: null,
      log_bytes: null,
      log_sha256: null,
      log_lines: null,
      log_first_line_at: null,
      archived_at: null,
      record_version: 1,
    },
  ]);
  expect(
    await archive.ask("select job_id, cause, reason, sha256, size_bytes, sealed_in, removed_at from audit.tombstones"),
  ).toEqual([
    {
      job_id: jobId,
      cause: "erase",
      reason: "prints a key",
      sha256: before?.["sha256"],
      size_bytes: 1_000,
      sealed_in: null,
      removed_at: null,
    },
  ]);
  expect(await archive.ask("select from audit.annotations")).toEqual([]);
  expect(await archive.ask("select annotations_left_out from audit.jobs")).toEqual([{ annotations_left_out: null }]);
  expect(await archive.ask("select log_state, log_reason, recheck_at from archive.log_jobs")).toEqual([
    { log_state: "absent", log_reason: "removed", recheck_at: null },
  ]);
  expect(await retryFailedLogs(archive.db, { jobIds: [jobId] })).toEqual([]);
});

test("no later record replaces a removed log, but the row names the newest record", async () => {
  await using archive = await openSealedLog();
  await eraseLog(archive.db, jobId, "why");
  const load = (...logs: Parameters<typeof logRow>[0][]) =>
    archive.db.transaction().execute(async (trx) => {
      await upsertLogs(trx, logs.map(logRow));
      await applyTombstones(trx, [jobId]);
      await recordTerminalStates(trx, [jobId]);
    });
  const row = () => archive.ask("select log_state, log_reason, record_version, log_key from audit.jobs");
  for (const version of [3, 1, 2, 3]) await load({ state: "archived", version });
  await load({ state: "absent", version: 9 });
  expect(await row()).toEqual([{ log_state: "absent", log_reason: "removed", record_version: 3, log_key: null }]);
  // The ledger was lost, and found the job again.
  await archive.ask("update archive.log_jobs set log_state = 'pending', log_reason = null");
  await load({ state: "archived", version: 3 });
  expect(await archive.ask("select log_state, log_reason from archive.log_jobs")).toEqual([
    { log_state: "absent", log_reason: "removed" },
  ]);
});

test("a second erase returns the state of the first and changes nothing", async () => {
  await using archive = await openSealedLog();
  await eraseLog(archive.db, jobId, "prints a key");
  await archive.seal();
  const before = await archive.ask("select * from archive.tombstones");
  expect(await eraseLog(archive.db, jobId, "another reason")).toMatchObject({
    is_new: false,
    objects: [{ reason: "prints a key", sealed_in: 2 }],
  });
  expect(await archive.ask("select * from archive.tombstones")).toEqual(before);
});

test("an unsealed log cannot be erased, nor a log of a job with another unsealed object", async () => {
  await using archive = await openSealedLog();
  await archive.ask("update archive.objects set sealed_in = null");
  await expect(eraseLog(archive.db, jobId, "why")).rejects.toThrow(/not in a published seal yet.*actions-archive seal/);
  await archive.seal(false);
  await expect(eraseLog(archive.db, jobId, "why")).rejects.toThrow(/not in a published seal/);
  await archive.publish();
  const extraKey = archive.keyOf(jobId).replace(".log.zst", `.${"b".repeat(64)}.log.zst`);
  await recordObjects(archive.db, [{ key: extraKey, version_id: null, size: 7, sha256: "c".repeat(64) }]);
  await expect(eraseLog(archive.db, jobId, "why")).rejects.toThrow(/not in a published seal/);
  expect(await archive.ask("select log_state from audit.jobs")).toEqual([{ log_state: "archived" }]);
  expect(await archive.ask("select from archive.tombstones")).toEqual([]);
  await archive.seal();
  const { objects } = await eraseLog(archive.db, jobId, "why");
  expect(objects.map(({ object_key }) => object_key)).toEqual([extraKey, archive.keyOf(jobId)]);
});

test("a log that the loader has not written down as an object cannot be erased", async () => {
  await using archive = await openSealedLog();
  await archive.ask("delete from archive.objects");
  await expect(eraseLog(archive.db, jobId, "why")).rejects.toThrow(/not in a published seal/);
});

test("the objects of jobs with longer ids stay", async () => {
  await using archive = await openSealedLog();
  await archive.addLog({ id: jobId * 10 });
  await archive.seal();
  const { objects } = await eraseLog(archive.db, jobId, "why");
  expect(objects).toHaveLength(1);
  expect(await archive.ask("select log_state from audit.jobs where job_id = $1", [jobId * 10])).toEqual([
    { log_state: "archived" },
  ]);
});

test("a held log is not erased, nor one whose copy is held; released it is", async () => {
  await using archive = await openSealedLog();
  await addCopy(archive, jobId + 1);
  for (const held of [jobId, jobId + 1]) {
    await holdJobs(archive.db, { jobIds: [held], isHeld: true, reason: "matter 7" });
    const erasing = eraseLog(archive.db, jobId, "why");
    await expect(erasing).rejects.toThrow(`job ${held}: matter 7`);
    await expect(eraseLog(archive.db, jobId, "why")).rejects.toThrow(`hold --release ${held}`);
    await holdJobs(archive.db, { jobIds: [held], isHeld: false, reason: null });
  }
  expect(await eraseLog(archive.db, jobId, "why")).toMatchObject({ is_new: true, copies: [jobId + 1] });
});

test("other jobs with the same text are named", async () => {
  await using archive = await openSealedLog();
  const raw = { rawSha256: "d".repeat(64) };
  for (const id of [jobId + 10, jobId + 11, jobId + 12]) await archive.addLog({ id, ...raw });
  await archive.seal();
  expect(await eraseLog(archive.db, jobId + 11, "why")).toMatchObject({ same_text: [jobId + 10, jobId + 12], copies: [] });
  expect(await eraseLog(archive.db, jobId, "why")).toMatchObject({ same_text: [] });
});

test("the error for a job without an archived log names its state", async () => {
  await using archive = await openSealedLog();
  await expect(eraseLog(archive.db, 5, "why")).rejects.toThrow("No job 5 is known");
  await recordJobs(archive.db, 700_000_001, [{ object: jobObject({ id: jobId + 5 }), source: "listing", listedAttempt: 1 }]);
  await expect(eraseLog(archive.db, jobId + 5, "why")).rejects.toThrow(`job ${jobId + 5} in acme/app is pending`);
  await addCopy(archive, jobId + 1);
  await expect(eraseLog(archive.db, jobId + 1, "why")).rejects.toThrow(`actions-archive erase ${jobId}`);
});

async function addCopy({ db }: Pick<ReturnType<typeof openRetention>, "db">, id: number): Promise<void> {
  const object = jobObject({ id, run_attempt: 2 });
  await db.transaction().execute(async (trx) => {
    await upsertJobs(trx, [{ repository_id: 700_000_001, run_attempt: 2, last_listed_attempt: 2, object }]);
    const row = logRow({ state: "absent", version: 1, job_id: id });
    await upsertLogs(trx, [{ ...row, log_reason: "copied", copied_from_job_id: jobId }]);
  });
}
