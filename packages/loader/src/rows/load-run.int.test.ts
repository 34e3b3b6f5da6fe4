// The run record of an attempt is written once, when the attempt is listed, with its final job list.

import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { findRunRecord } from "@actions-archive/archive/record/records";
import { runRecordKey } from "@actions-archive/core/object-key";
import { finishCheck } from "@actions-archive/database/ledger/attempts";
import { recordRuns } from "@actions-archive/database/ledger/runs";
import { jobId, jobObject, repositoryId, runId, runObject } from "@actions-archive/database/test-support/samples";
import { expect, test } from "vitest";

import { host, openHarness } from "../../test-support/harness.ts";
import { loadRun } from "./load-run.ts";

const attempt = { run_id: runId, run_attempt: 1 };
const ref = { repository_id: repositoryId, ...attempt };

test("a listed attempt's record holds the run and its jobs, and its key stands in the ledger", async () => {
  await using harness = await openHarness();
  await harness.owe({ id: jobId + 1 });
  await harness.owe();
  await harness.owe({ runner_name: "rack-7" });
  await finishCheck(harness.loader.db, attempt, { state: "listed", jobs: 3, missingJobIds: [jobId + 2] });
  await loadRun(harness.loader, attempt);
  const found = await findRunRecord(harness.loader.store, host, ref);
  expect(found?.record).toMatchObject({ ...ref, host, repository: "acme/app", run: runObject(), job_ids: [jobId, jobId + 1] });
  const [received] = await harness.ask(`select object_received_at::text as at from archive.log_jobs where job_id = ${jobId}`);
  const came = { source: "listing", received_at: new Date(String(received?.["at"])).toISOString() };
  expect(found?.record).toMatchObject({ listed_jobs: 3, missing_job_ids: [jobId + 2] });
  expect(found?.record.jobs).toEqual([
    { job_id: jobId, objects: [jobObject(), jobObject({ runner_name: "rack-7" })], ...came },
    { job_id: jobId + 1, objects: [jobObject({ id: jobId + 1 })], source: "listing", received_at: expect.any(String) as string },
  ]);
  expect(await harness.ask("select record_key from archive.attempts")).toEqual([{ record_key: runRecordKey(host, ref) }]);
});

test("what is recorded once is not written again", async () => {
  await using harness = await openHarness();
  await finishCheck(harness.loader.db, attempt, { state: "listed", jobs: 0, missingJobIds: [] });
  await Promise.all([loadRun(harness.loader, attempt), loadRun(harness.loader, attempt)]);
  const before = await findRunRecord(harness.loader.store, host, ref);
  await harness.ask("update archive.attempts set record_key = null, listed_at = now() + interval '1 day'");
  await loadRun(harness.loader, attempt);
  expect(await findRunRecord(harness.loader.store, host, ref)).toEqual(before);
  expect(await harness.ask("select record_key is not null as known from archive.attempts")).toEqual([{ known: true }]);
  expect(await Array.fromAsync(harness.loader.store.list("runs/"))).toHaveLength(1);
});

test("an open or unknown attempt has no record", async () => {
  await using harness = await openHarness();
  await recordRuns(harness.loader.db, repositoryId, [runObject({ run_attempt: 2, updated_at: "2026-05-02T10:00:00Z" })]);
  await loadRun(harness.loader, attempt);
  await loadRun(harness.loader, { run_id: runId + 1, run_attempt: 1 });
  expect(await Array.fromAsync(harness.loader.store.list("runs/"))).toEqual([]);
});

test("a foreign object under a run record's key blocks only that record, is logged, and stays until an operator removes it", async () => {
  await using harness = await openHarness();
  const { store } = harness.loader;
  const other = { run_id: runId + 1, run_attempt: 1 };
  await recordRuns(harness.loader.db, repositoryId, [runObject({ id: runId + 1 })]);
  for (const each of [attempt, other])
    await finishCheck(harness.loader.db, each, { state: "listed", jobs: 0, missingJobIds: [] });
  const body = Buffer.from("planted");
  const key = runRecordKey(host, ref);
  await store.put(key, body, { sha256: createHash("sha256").update(body).digest("hex"), contentType: "application/json" });

  await expect(loadRun(harness.loader, attempt)).rejects.toThrow(key);
  await loadRun(harness.loader, other);
  const recorded = "select run_id, record_key is not null as is_recorded from archive.attempts order by 1";
  expect(await harness.ask(recorded)).toEqual([
    { run_id: runId, is_recorded: false },
    { run_id: runId + 1, is_recorded: true },
  ]);
  expect((await store.read(key))?.toString()).toBe("planted");

  await rm(join(fileURLToPath(store.url), key));
  await loadRun(harness.loader, attempt);
  expect(await harness.ask(recorded)).toMatchObject([{ is_recorded: true }, { is_recorded: true }]);
});
