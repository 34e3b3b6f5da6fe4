// The auditor's tables depend on what GitHub and the store contain, not on order, repetition or the loader.

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import type { LogRecord } from "@actions-archive/archive/record/record";
import { newSigner } from "@actions-archive/archive/test-support/seal-samples";
import { TransientError } from "@actions-archive/core/errors";
import { logKey } from "@actions-archive/core/object-key";
import { transact } from "@actions-archive/database/connection/open-database";
import { listUnloadedJobs, lockJobs, recordJobs } from "@actions-archive/database/ledger/log-jobs";
import { recordTerminalStates } from "@actions-archive/database/ledger/log-states";
import { recordRuns } from "@actions-archive/database/ledger/runs";
import { applyTombstones } from "@actions-archive/database/retention/tombstones";
import {
  jobId,
  jobObject,
  type Json,
  repositoryId,
  runId,
  runObject,
  stepObject,
} from "@actions-archive/database/test-support/samples";
import fc from "fast-check";
import { expect, test } from "vitest";

import { absent, archived, type Harness, host, openHarness } from "../../test-support/harness.ts";
import { auditorRows, auditorTables, openEmptyDatabase, rebuildInto } from "../../test-support/rebuilt.ts";
import { sealArchive } from "../seal/seal-archive.ts";
import { loadJobs } from "./load-jobs.ts";
import { loadRecords, type RecordToLoad } from "./load-records.ts";
import { loadRun } from "./load-run.ts";

type Delivery = {
  readonly kind: "delivery";
  readonly object: Json;
  readonly source: "listing" | "webhook";
  readonly attempt: number;
};
type Event =
  | Delivery
  | { readonly kind: "load"; readonly job_id: number }
  | { readonly kind: "bury"; readonly job_id: number }
  | ({ readonly kind: "record" } & RecordToLoad);

const oneOf = <T>(...values: T[]) => fc.constantFrom(...values);
const jobIds = [jobId, jobId + 1];
const signer = newSigner();
const time = oneOf("2026-05-01T10:00:10Z", "2026-05-01T03:00:11.000-07:00", null);

const step = fc
  .record({
    number: oneOf(1, 2, 16),
    name: oneOf("build", "Test", "être"),
    status: oneOf("completed", "in_progress"),
    conclusion: oneOf("success", null),
    completed_at: time,
  })
  .map(({ number, ...changes }) => stepObject(number, changes));

/** Objects of a job contradict each other in every field, more than GitHub's do. */
const delivery: fc.Arbitrary<Delivery> = fc
  .record({
    id: oneOf(...jobIds),
    name: oneOf("build", "Build", "日本語", "ß", null),
    status: oneOf("completed", "completed", "in_progress"),
    conclusion: oneOf("success", "failure", null),
    runner_name: oneOf("", "rack-7", null),
    labels: oneOf([], ["ubuntu-24.04"], ["self-hosted", "GPU"]),
    started_at: time,
    completed_at: time,
    steps: fc.oneof(fc.constant(null), fc.array(step, { maxLength: 3 })),
  })
  .chain((changes) =>
    fc.record({ source: oneOf<Delivery["source"]>("listing", "webhook"), attempt: oneOf(1, 2) }).map(({ source, attempt }) => ({
      kind: "delivery",
      source,
      attempt,
      object: jobObject({ ...changes, run_attempt: attempt }),
    })),
  );

const facts = {
  sections: [{ step_number: 1, first_line: 3, line_count: 10, raw_start: 80, raw_bytes: 800 }],
  action_uses: [{ step_number: 1, action: "Actions/checkout", ref: "v4", sha: "a".repeat(40), line_number: 2, used_at: null }],
  annotations: [{ step_number: 1, level: "error" as const, line_number: 5, message: "no\0" }],
};

/** Records as a worker writes them: of completed jobs in the ledger, with one of its objects. Absent first, then archived. */
async function putRecords(harness: Harness, deliveries: readonly Delivery[]): Promise<RecordToLoad[]> {
  const records: RecordToLoad[] = [];
  for (const { object, source, attempt } of deliveries.filter((each) => each.object["status"] === "completed")) {
    const job_id = Number(object["id"]);
    const jobFields = { job: object as LogRecord["job"], job_source: source, run_attempt: attempt, last_listed_attempt: attempt };
    const log = records.some((each) => each.job_id === job_id) ? archived(job_id) : absent;
    const key = await harness.record(job_id, log, { ...jobFields, ...(log === absent ? {} : facts) });
    if (records.every((each) => each.key !== key)) records.push({ job_id, key });
  }
  return records;
}

async function emptyDatabase({ ask }: Harness): Promise<void> {
  const filled = [...auditorTables, "log_jobs", "attempts", "runs", "objects", "tombstones", "seals"];
  await ask(`truncate ${filled.map((table) => `archive.${table}`).join(", ")}`);
}

/** A tombstone from an operator's decision or a seal of the store. */
async function bury({ loader, ask }: Harness, job_id: number): Promise<void> {
  await transact(loader.db, async (trx) => {
    await lockJobs(trx, [job_id]);
    const object_key = logKey(host, { repository_id: repositoryId, run_id: runId, job_id });
    const object = { object_key, size_bytes: 1, sha256: "a".repeat(64) };
    await trx
      .insertInto("archive.tombstones")
      .values({ ...object, job_id, repository_id: repositoryId, cause: "erase", reason: "why" })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    await applyTombstones(trx, [job_id]);
    await recordTerminalStates(trx, [job_id]);
  });
  const left = `select from archive.log_jobs where job_id = ${job_id} and log_state = 'archived'`;
  expect(await ask(left)).toEqual([]);
}

async function emptyBucket({ loader }: Harness): Promise<void> {
  for (const kind of ["records", "runs", "seals"])
    await rm(join(fileURLToPath(loader.store.url), kind), { recursive: true, force: true });
}

async function handle(harness: Harness, event: Event): Promise<void> {
  const { loader } = harness;
  if (event.kind === "bury") await bury(harness, event.job_id);
  else if (event.kind === "load") await loadJobs(loader, [event.job_id]);
  else if (event.kind === "record") await loadRecords(loader, [event]);
  else await recordJobs(loader.db, repositoryId, [{ object: event.object, source: event.source, listedAttempt: event.attempt }]);
}

/** Retries like the queue: a record before any delivery of its job can deadlock with that job's load. */
async function handleUntilDone(harness: Harness, event: Event): Promise<void> {
  for (;;) {
    try {
      return await handle(harness, event);
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
    }
  }
}

/** Each lane is one process; at the end the reconciler loads what is owed. */
async function play(harness: Harness, lanes: readonly (readonly Event[])[]): Promise<unknown> {
  await emptyDatabase(harness);
  for (const run_attempt of [1, 2]) await recordRuns(harness.loader.db, repositoryId, [runObject({ run_attempt })]);
  await Promise.all(
    lanes.map(async (lane) => {
      for (const event of lane) await handleUntilDone(harness, event);
    }),
  );
  await loadJobs(harness.loader, await listUnloadedJobs(harness.loader.db, 100));
  return auditorRows(harness.ask);
}

/** The rows of an empty database that is filled from the objects of the store alone. */
async function rebuildAnew(harness: Harness): Promise<unknown> {
  await harness.ask("update archive.attempts set state = 'listed', listed_at = '2026-05-02T00:00:00Z'");
  for (const run_attempt of [1, 2]) await loadRun(harness.loader, { run_id: runId, run_attempt });
  const [identity] = await harness.ask("select archive_id from archive.identity");
  await sealArchive({ ...harness.loader, archiveId: String(identity?.["archive_id"]), signer });
  await using empty = await openEmptyDatabase();
  await rebuildInto(empty, harness, { publicKey: signer.publicKey });
  return await auditorRows(empty.ask);
}

test("any order, repetition and interleaving over any number of loaders ends in the same rows, and in those of the bucket", async () => {
  const world = fc.array(delivery, { minLength: 1, maxLength: 6 }).chain((deliveries) =>
    fc.record({
      deliveries: fc.constant(deliveries),
      /** Which objects the workers put into records. */
      recorded: fc.subarray(deliveries),
      /** Which logs are removed. */
      buried: fc.subarray(jobIds),
      /** The order of deliveries, loads and records, as indexes into their list, some repeated. */
      order: fc.array(fc.nat({ max: 99 }), { minLength: 4, maxLength: 14 }),
      lanes: fc.integer({ min: 1, max: 3 }),
    }),
  );
  await using harness = await openHarness();
  await fc.assert(
    fc.asyncProperty(world, async ({ deliveries, recorded, buried, order, lanes }) => {
      await emptyBucket(harness);
      const records = await putRecords(harness, recorded);
      const events: Event[] = [
        ...deliveries,
        ...records.map((record) => ({ kind: "record" as const, ...record })),
        ...jobIds.map((job_id) => ({ kind: "load" as const, job_id })),
        ...buried.map((job_id) => ({ kind: "bury" as const, job_id })),
      ];
      // Some twice, in any order; then all of them in reverse, so that each occurs at least once.
      const played = [...order.map((place) => events[place % events.length]), ...events.toReversed()].filter(
        (event) => event !== undefined,
      );
      const expected = await play(harness, [events]);
      const rows = await play(
        harness,
        Array.from({ length: lanes }, (_, lane) => played.filter((_event, index) => index % lanes === lane)),
      );
      expect(rows).toEqual(expected);
      expect(harness.errors).toEqual([]);
      expect(await rebuildAnew(harness)).toEqual(expected);
      const resurrected = `select from audit.jobs where log_state = 'archived' and job_id = any(array[${buried.join(",")}]::bigint[])`;
      expect(await harness.ask(resurrected)).toEqual([]);
    }),
    { numRuns: 40 },
  );
});
