// A database rebuilt from the store has the rows of the lost one, wherever the rebuild was interrupted.

import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { parseSeal, signSeal } from "@actions-archive/archive/seal/seal-envelope";
import { canonicalBytes } from "@actions-archive/archive/store/canonical-bytes";
import { PermanentError } from "@actions-archive/core/errors";
import { recordKey, runRecordKey, sealKey } from "@actions-archive/core/object-key";
import { finishCheck } from "@actions-archive/database/ledger/attempts";
import { listSelectedRepositories } from "@actions-archive/database/ledger/repositories";
import { recordRuns } from "@actions-archive/database/ledger/runs";
import { listRefusals } from "@actions-archive/database/rebuild/rebuild-progress";
import { jobId, jobObject, repositoryId, runId, runObject } from "@actions-archive/database/test-support/samples";
import { expect, test } from "vitest";

import { all, failing, fill, load, newSigner, publicKey, seal, see, settle, signer } from "../../test-support/filled-store.ts";
import { archived, type Harness, host, openHarness } from "../../test-support/harness.ts";
import { auditorRows, openEmptyDatabase, rebuildInto } from "../../test-support/rebuilt.ts";
import { rebuild } from "./rebuild.ts";

test("everything in seals and records is restored, and a second call changes nothing", async () => {
  await using harness = await openHarness();
  await fill(harness);
  await using empty = await openEmptyDatabase();
  const state = await rebuildInto(empty, harness, { publicKey });
  expect(state).toMatchObject({ phase: "done", jobs: 6, objects_read: 8, objects_listed: 8 });
  expect(await all(empty)).toEqual(await all(harness));
  expect(await listRefusals(empty.db, 10)).toEqual([]);
  expect(await rebuildInto(empty, harness, { publicKey })).toEqual(state);
});

test("cut short at any call and begun again, the database is the same", { timeout: 600_000 }, async () => {
  await using harness = await openHarness();
  await fill(harness);
  const expected = await all(harness);
  const options = { publicKey, signal: new AbortController().signal, batchObjects: 3 };
  let crashes = 0;
  for (const moment of ["before", "after"] as const) {
    // Every seventh call, with another first call each time.
    for (let at = moment === "before" ? 1 : 4; ; at += 7) {
      await using empty = await openEmptyDatabase();
      const doomed = failing({ db: empty.db, store: harness.loader.store }, at, moment);
      const outcome = await rebuild({ ...harness.loader, ...doomed }, options).catch((error: unknown) => error);
      if (doomed.calls() < at) break;
      if (outcome instanceof Error) crashes += 1;
      await rebuild({ ...harness.loader, db: empty.db }, options);
      expect(await all(empty), `after a crash ${moment} call ${at}`).toEqual(expected);
    }
  }
  expect(crashes).toBeGreaterThan(20);
});

test("stopped after every batch, it continues and repeats no batch", async () => {
  await using harness = await openHarness();
  await fill(harness);
  await using empty = await openEmptyDatabase();
  const positions: string[] = [];
  for (let call = 0; ; call += 1) {
    const stop = new AbortController();
    const outcome = await rebuild(
      { ...harness.loader, db: empty.db },
      {
        publicKey,
        signal: stop.signal,
        batchObjects: 1,
        onProgress({ phase, position, objects_listed }) {
          positions.push(`${phase} ${position} ${objects_listed}`);
          stop.abort(new Error("stopped"));
        },
      },
    ).catch((error: unknown) => error);
    if (!(outcome instanceof Error)) break;
    expect(outcome.message).toBe("stopped");
  }
  expect(positions).toEqual([...new Set(positions)]);
  expect(await all(empty)).toEqual(await all(harness));
});

async function damage({ loader }: Harness, key: string, text: string | undefined): Promise<void> {
  const path = join(fileURLToPath(loader.store.url), key);
  if (text === undefined) await rm(path);
  else await writeFile(path, text);
}

test("a damaged, changed or missing object is skipped and listed, and all others are loaded", async () => {
  await using harness = await openHarness();
  await fill(harness);
  const ref = { repository_id: repositoryId, run_id: runId };
  const [torn, changed, foreign, missing] = [
    recordKey(host, { ...ref, job_id: jobId + 2 }, 1),
    recordKey(host, { ...ref, job_id: jobId + 1 }, 1),
    runRecordKey(host, { ...ref, run_attempt: 2 }),
    runRecordKey(host, { ...ref, run_id: runId + 4, run_attempt: 1 }),
  ];
  const text = async (key: string) => (await harness.loader.store.read(key))?.toString("utf8") ?? "";
  await damage(harness, torn, (await text(torn)).slice(0, 100));
  await damage(harness, changed, (await text(changed)).replace('"lines":12', '"lines":13'));
  await damage(harness, foreign, (await text(foreign)).replaceAll(`${runId}`, `${runId + 9}`));
  await damage(harness, missing, undefined);
  await using empty = await openEmptyDatabase();
  await rebuildInto(empty, harness, { publicKey });
  expect((await listRefusals(empty.db, 10)).toSorted((a, b) => (a.object_key < b.object_key ? -1 : 1))).toEqual([
    { object_key: changed, problem: "its bytes are not those that seal 1 holds" },
    { object_key: torn, problem: expect.stringContaining("it was changed, or a newer version wrote it") },
    { object_key: foreign, problem: expect.stringContaining("is not the run record of its key") },
    { object_key: missing, problem: "seal 2 holds it, and it is not in the store" },
  ]);
  expect(await empty.ask("select job_id::bigint, log_state from audit.jobs order by 1")).toEqual([
    { job_id: jobId, log_state: "archived" },
    { job_id: jobId + 1, log_state: "pending" },
    { job_id: jobId + 10, log_state: "pending" },
    { job_id: jobId + 11, log_state: "pending" },
    { job_id: jobId + 12, log_state: "pending" },
  ]);
  // What is unknown after the rebuild is owed, not complete.
  expect(await empty.ask("select run_id, run_attempt, state from archive.attempts where state = 'open' order by 1, 2")).toEqual([
    { run_id: runId, run_attempt: 2, state: "open" },
    { run_id: runId + 2, run_attempt: 1, state: "open" },
    { run_id: runId + 4, run_attempt: 1, state: "open" },
  ]);
});

test("a refused job is unloadable, and the rest of its batch is loaded", async () => {
  await using harness = await openHarness();
  await fill(harness);
  await using empty = await openEmptyDatabase();
  await empty.ask(`alter table archive.jobs add constraint picky check (job_id <> ${jobId + 12})`);
  await rebuildInto(empty, harness, { publicKey });
  expect(await empty.ask("select job_id, log_reason from archive.log_jobs where log_state = 'failed'")).toEqual([
    { job_id: jobId + 12, log_reason: "unloadable" },
  ]);
  expect(await empty.ask("select count(*)::integer as jobs from archive.jobs")).toEqual([{ jobs: 5 }]);
  expect(await listRefusals(empty.db, 10)).toEqual([]);
});

test("without a key for the end of the chain it is followed by its hashes, and another's key is refused", async () => {
  await using harness = await openHarness();
  await fill(harness);
  const other = newSigner();
  await using refused = await openEmptyDatabase();
  await expect(rebuildInto(refused, harness, { publicKey: other.publicKey })).rejects.toThrow(`SEAL_KEY holds ${other.keyId}`);
  await using empty = await openEmptyDatabase();
  await rebuildInto(empty, harness);
  expect(await all(empty)).toEqual(await all(harness));
});

test("a chain with another seal in it is refused before anything is read", async () => {
  await using harness = await openHarness();
  await fill(harness);
  const { seal: first } = parseSeal((await harness.loader.store.read(sealKey(1))) ?? Buffer.alloc(0), "seal 1");
  const other = await signSeal(canonicalBytes({ ...first, sealed_at: "2026-05-01T00:00:00.000Z" }), signer);
  await damage(harness, sealKey(1), other.toString("utf8"));
  await using empty = await openEmptyDatabase();
  await expect(rebuildInto(empty, harness, { publicKey })).rejects.toThrow(
    /000000000001\.json .* does not have the hash in the next seal/,
  );
  expect(await empty.ask("select from archive.jobs")).toEqual([]);
});

test("without seals no window is known, and nothing is complete", async () => {
  await using harness = await openHarness();
  await fill(harness);
  await rm(join(fileURLToPath(harness.loader.store.url), "seals"), { recursive: true });
  await using empty = await openEmptyDatabase();
  await rebuildInto(empty, harness);
  expect(await auditorRows(empty.ask)).toEqual(await auditorRows(harness.ask));
  expect(await empty.ask("select from audit.coverage")).toEqual([]);
  expect(await empty.ask("select kind from audit.gaps where kind = 'window_open'")).toHaveLength(1);
});

test("a database that a worker has written into is refused, and so is a store that is no archive or another one", async () => {
  await using harness = await openHarness();
  await fill(harness);
  await expect(rebuildInto(harness.loader, harness)).rejects.toThrow(PermanentError);
  await using other = await openHarness();
  await using empty = await openEmptyDatabase();
  await rebuildInto(empty, other);
  await expect(rebuildInto(empty, harness)).rejects.toThrow(/belongs to archive .* the store at ARCHIVE_URL to archive/);
  await damage(other, "archive.json", undefined);
  await expect(rebuildInto(empty, other)).rejects.toThrow("There is no archive at file:///");
  expect(await Array.fromAsync(other.loader.store.list(""))).toEqual([]);
});

test("the chain goes on after a rebuild, and a second loss and rebuild end in the same", async () => {
  await using harness = await openHarness();
  await fill(harness);
  await using first = await openEmptyDatabase();
  await rebuildInto(first, harness, { publicKey });
  const onFirst = { ...harness, ask: first.ask, loader: { ...harness.loader, db: first.db } };
  await see(onFirst, [{ object: jobObject({ id: jobId + 20, run_id: runId + 2 }), source: "listing", listedAttempt: 1 }]);
  const ended = runObject({ id: runId + 2, created_at: "2026-05-01T12:00:00Z", updated_at: "2026-05-01T12:30:00Z" });
  await recordRuns(first.db, repositoryId, [ended]);
  await finishCheck(first.db, { run_id: runId + 2, run_attempt: 1 }, { state: "listed", jobs: 1, missingJobIds: [] });
  await settle(onFirst);
  await seal(onFirst);
  await using second = await openEmptyDatabase();
  await rebuildInto(second, harness, { publicKey });
  expect(await all(second)).toEqual(await all(first));
  expect(await second.ask("select sequence from archive.seals order by 1")).toEqual([
    { sequence: 1 },
    { sequence: 2 },
    { sequence: 3 },
  ]);
});

test("two processes do not rebuild one database at once", async () => {
  await using harness = await openHarness();
  await fill(harness);
  await using empty = await openEmptyDatabase();
  const outcomes = await Promise.allSettled([rebuildInto(empty, harness), rebuildInto(empty, harness)]);
  expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  expect(outcomes.map((outcome) => (outcome.status === "rejected" ? String(outcome.reason) : ""))).toContainEqual(
    expect.stringContaining("Another process is rebuilding this database"),
  );
});

test("repositories have their newest name and are selected until a fetcher polls; the re-run scan begins before the last window's end", async () => {
  await using harness = await openHarness();
  await fill(harness);
  const later = { repository: "acme/renamed", decided_at: new Date().toISOString() };
  await load(harness, jobId + 1, archived(jobId + 1), later);
  await using empty = await openEmptyDatabase();
  await rebuildInto(empty, harness);
  expect(await listSelectedRepositories(empty.db)).toMatchObject([
    { full_name: "acme/renamed", archive_since: null, rescanned_at: new Date("2026-05-02T00:00:00Z") },
    { full_name: "acme/quiet", archive_since: null, rescanned_at: new Date("2026-04-30T12:00:00Z") },
  ]);
});
