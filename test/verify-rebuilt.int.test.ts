// An owner's rebuild of a database and removal of old runs is not reported as tampering, and excuses no tampering.

import { putRecord } from "@actions-archive/archive/record/records";
import { verifyArchive } from "@actions-archive/archive/verify/verify-archive";
import { verifyDatabase } from "@actions-archive/cli/verify/verify-database";
import { finishCheck } from "@actions-archive/database/ledger/attempts";
import { recordRuns } from "@actions-archive/database/ledger/runs";
import { jobId, jobObject, repositoryId, runId, runObject } from "@actions-archive/database/test-support/samples";
import { loadRecords } from "@actions-archive/loader/rows/load-records";
import { fill, publicKey, seal, see, settle } from "@actions-archive/loader/test-support/filled-store";
import { absent, type Harness, host, openHarness } from "@actions-archive/loader/test-support/harness";
import { openEmptyDatabase, rebuildInto } from "@actions-archive/loader/test-support/rebuilt";
import { expect, test } from "vitest";

async function verify({ loader }: Harness, db = loader.db) {
  const options = { keys: [publicKey], isDeep: () => false, sealIntervalSeconds: 3600 };
  const result = await verifyArchive(loader.store, options);
  await verifyDatabase({ db, store: loader.store, result, sealIntervalSeconds: 3600 });
  const { tampering, notices } = result.findings;
  // The harness's records name logs that it does not store.
  return { tampering: tampering.filter(({ key }) => !key.startsWith("logs/")), notices };
}

test("a ledger in every state, and databases that are rebuilt from its store with and without a key, give no finding", async () => {
  await using harness = await openHarness();
  await fill(harness);
  await harness.ask("insert into archive.retention_policies (name, keep_days) values ('acme', 400)");
  await harness.ask(`insert into archive.holds (job_id, is_held) values (${jobId}, false)`);
  await harness.ask("insert into archive.removals values ('2020-01-01', now(), 3, 5, 0)");
  await seal(harness);
  expect((await verify(harness)).tampering).toEqual([]);
  await using empty = await openEmptyDatabase();
  await rebuildInto(empty, harness, { publicKey });
  expect((await verify(harness, empty.db)).tampering).toEqual([]);
  const removals = "select runs_before, jobs, sealed_in from archive.removals";
  expect(await empty.ask(removals)).toEqual(await harness.ask(removals));
  await using untrusted = await openEmptyDatabase();
  await rebuildInto(untrusted, harness);
  const findings = await verify(harness, untrusted.db);
  expect(findings.tampering).toEqual([]);
  expect(findings.notices).toContainEqual(expect.objectContaining({ key: "archive.retention_policies" }));
});

test("an attempt that was reopened after its run record is open in a rebuilt ledger, too", async () => {
  await using harness = await openHarness();
  await fill(harness);
  await harness.ask(`update archive.attempts set state = 'open', sealed_in = null where run_id = ${runId} and run_attempt = 2`);
  await seal(harness);
  expect((await verify(harness)).tampering).toEqual([]);
  await using empty = await openEmptyDatabase();
  await rebuildInto(empty, harness, { publicKey });
  expect(await empty.ask(`select state from archive.attempts where run_id = ${runId} and run_attempt = 2`)).toEqual([
    { state: "open" },
  ]);
  expect((await verify(harness, empty.db)).tampering).toEqual([]);
  await finishCheck(harness.loader.db, { run_id: runId, run_attempt: 2 }, { state: "listed", jobs: 3, missingJobIds: [] });
  await seal(harness);
  await using again = await openEmptyDatabase();
  await rebuildInto(again, harness, { publicKey });
  expect((await verify(harness, again.db)).tampering).toEqual([]);
});

/** Adds a run with a job, listed, recorded and loaded; its job has its own partition. */
async function addRun(harness: Harness, index: number, createdAt: string): Promise<number> {
  const ids = { run_id: runId + index, id: jobId + index * 20_000_000_000 };
  await recordRuns(harness.loader.db, repositoryId, [runObject({ id: ids.run_id, created_at: createdAt })]);
  const job = jobObject({ ...ids, created_at: createdAt });
  await see(harness, [{ object: job, source: "listing", listedAttempt: 1 }]);
  const ref = { repository_id: repositoryId, run_id: ids.run_id, job_id: ids.id };
  const { key } = await putRecord(harness.loader.store, host, ref, {
    host,
    repository: "acme/app",
    ...ref,
    run_attempt: 1,
    last_listed_attempt: 1,
    job: job as never,
    job_source: "listing",
    job_received_at: "2026-05-01T10:05:00.000Z",
    log: absent,
    decided_at: "2026-05-01T10:06:00.000Z",
  });
  await loadRecords(harness.loader, [{ job_id: ids.id, key }]);
  await finishCheck(harness.loader.db, { run_id: ids.run_id, run_attempt: 1 }, { state: "listed", jobs: 1, missingJobIds: [] });
  return ids.id;
}

test("runs that the owner removed are missing until a seal carries the removal, which excuses no other job", async () => {
  await using harness = await openHarness();
  const jobs = [await addRun(harness, 1, "2026-01-01T00:00:00Z"), await addRun(harness, 2, "2026-03-01T00:00:00Z")] as const;
  await settle(harness);
  await seal(harness);
  expect((await verify(harness)).tampering).toEqual([]);
  expect(await harness.ask("select jobs from archive.remove_runs_before('2026-02-01')")).toEqual([{ jobs: 1 }]);
  expect((await verify(harness)).tampering).toContainEqual(
    expect.objectContaining({ verdict: "missing", key: `archive.jobs ${jobs[0]}` }),
  );
  await seal(harness);
  const findings = await verify(harness);
  expect(findings.tampering).toEqual([]);
  expect(findings.notices).toContainEqual(expect.objectContaining({ verdict: "not compared", key: "archive.jobs" }));
  await using empty = await openEmptyDatabase();
  await rebuildInto(empty, harness, { publicKey });
  expect((await verify(harness, empty.db)).tampering).toEqual([]);
  // Of a younger run, and of the time of the removal, in a partition that still exists.
  for (const [database, job] of [
    [harness, jobs[1]],
    [empty, jobs[0]],
  ] as const) {
    for (const table of ["steps", "logs", "jobs", "log_jobs"])
      await database.ask(`delete from archive.${table} where job_id = ${job}`);
    const left = await verify(harness, database === empty ? empty.db : harness.loader.db);
    expect(left.tampering).toContainEqual(expect.objectContaining({ verdict: "missing", key: `archive.jobs ${job}` }));
  }
});
