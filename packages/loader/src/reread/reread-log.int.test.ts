// An archived log is reread once when a newer extraction or a fuller job object knows more, and never otherwise.

import { generateKeyPairSync, randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { extractionVersion } from "@actions-archive/archive/log/facts/extraction";
import type { StoreSettings } from "@actions-archive/archive/open-store";
import { putRecord } from "@actions-archive/archive/record/records";
import { openSigner } from "@actions-archive/archive/seal/seal-key";
import type { Store } from "@actions-archive/archive/store/store";
import { withCalls, withMethods } from "@actions-archive/archive/test-support/changed-store";
import { verifyArchive } from "@actions-archive/archive/verify/verify-archive";
import { logKey } from "@actions-archive/core/object-key";
import { countRereads, listOwedRereads, listRereadProblems } from "@actions-archive/database/ledger/rereads";
import { eraseLog } from "@actions-archive/database/retention/erase-log";
import { jobId, type Json } from "@actions-archive/database/test-support/samples";
import { realS3, startTestS3, type TestS3 } from "@actions-archive/testkit/test-s3";
import { expect, test, vi } from "vitest";

import { archiveText, delivered, listed, recordOf, refOf, see, text, versionsOf } from "../../test-support/archived-log.ts";
import { failing } from "../../test-support/filled-store.ts";
import { type Harness, host, openHarness } from "../../test-support/harness.ts";
import { auditorRows, openEmptyDatabase, rebuildInto } from "../../test-support/rebuilt.ts";
import { removeTombstoned } from "../retention/apply-retention.ts";
import { loadJobs } from "../rows/load-jobs.ts";
import { loadRecords } from "../rows/load-records.ts";
import { sealArchive } from "../seal/seal-archive.ts";
import { rereadLog } from "./reread-log.ts";
import { reindex, rereadOwedLogs } from "./reread-logs.ts";

const signer = openSigner(generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }));

async function seal({ loader, ask }: Harness): Promise<void> {
  const [identity] = await ask("select archive_id from archive.identity");
  await sealArchive({ ...loader, archiveId: String(identity?.["archive_id"]), signer });
}

const owed = ({ loader }: Pick<Harness, "loader">, skipsBackedOff = false) =>
  listOwedRereads(loader.db, extractionVersion, { skipsBackedOff, limit: 100 });
const sections = ({ ask }: Pick<Harness, "ask">) => ask("select step_number, first_line from audit.steps order by 1");
const annotations = ({ ask }: Pick<Harness, "ask">) => ask("select step_number, line_number, message from audit.annotations");
const split = [
  { step_number: 1, first_line: 1 },
  { step_number: 2, first_line: 2 },
  { step_number: 3, first_line: 6 },
  { step_number: 4, first_line: 10 },
];
const error = [{ step_number: 3, line_number: 9, message: "no-var: 3 problems" }];

test("a log of an older extraction is reread once, and its record gets a version with otherwise equal facts", async () => {
  await using harness = await openHarness();
  await archiveText(harness);
  const before = await recordOf(harness);
  const archivedAt = await harness.ask("select archived_at from audit.jobs");
  expect(await annotations(harness)).toEqual([]);
  expect(await owed(harness)).toEqual([jobId]);

  expect(await rereadLog(harness.loader, jobId)).toEqual({ outcome: "written" });

  expect(await sections(harness)).toEqual(split);
  expect(await annotations(harness)).toEqual(error);
  const after = await recordOf(harness);
  const { log, job, decided_at, job_received_at } = before ?? {};
  expect(after).toMatchObject({ log, job, decided_at, job_received_at, extraction_version: extractionVersion });
  expect(after?.previous_sha256).toMatch(/^[0-9a-f]{64}$/);
  expect(await harness.ask("select archived_at from audit.jobs")).toEqual(archivedAt);
  expect(await rereadLog(harness.loader, jobId)).toEqual({ outcome: "not_owed" });
  expect(await rereadLog(harness.loader, jobId, { isForced: true })).toEqual({ outcome: "unchanged" });
  expect(await versionsOf(harness)).toHaveLength(2);
  expect(harness.errors).toEqual([]);
});

test("equal facts get a version too, so that a rebuilt database owes nothing, and sealed versions verify", async () => {
  await using harness = await openHarness();
  await archiveText(harness, jobId, { writtenBy: "an extraction of equal facts" });
  await archiveText(harness, jobId + 1, { writtenBy: "this extraction" });
  await seal(harness);
  const before = await sections(harness);
  expect(await reindex(harness.loader, { choice: {} })).toEqual({ read: 1, written: 1, failed: [] });
  expect(await sections(harness)).toEqual(before);
  expect(await owed(harness)).toEqual([]);
  await seal(harness);
  await using empty = await openEmptyDatabase();
  await rebuildInto(empty, harness, { publicKey: signer.publicKey });
  expect(await auditorRows(empty.ask)).toEqual(await auditorRows(harness.ask));
  expect(await owed({ loader: { ...harness.loader, db: empty.db } })).toEqual([]);
  expect(await versionsOf(harness)).toHaveLength(2);
  expect(await versionsOf(harness, jobId + 1)).toHaveLength(1);
  const { findings } = await verifyArchive(harness.loader.store, {
    keys: [signer.publicKey],
    isDeep: () => true,
    sealIntervalSeconds: 3600,
  });
  expect(findings.tampering).toEqual([]);
});

test("a job object with more steps makes the log due, an equal or poorer one never does again", async () => {
  await using harness = await openHarness();
  await archiveText(harness, jobId, { object: delivered(), writtenBy: "this extraction" });
  expect(await annotations(harness)).not.toEqual(error);
  expect(await rereadOwedLogs(harness.loader, { budgetMs: 10_000 })).toBe(0);

  await see(harness, listed());
  await loadJobs(harness.loader, [jobId]);
  expect(await rereadOwedLogs(harness.loader, { budgetMs: 10_000 })).toBe(1);

  expect(await sections(harness)).toEqual(split);
  expect(await annotations(harness)).toEqual(error);
  expect(await recordOf(harness)).toMatchObject({ job: listed(), job_source: "listing" });
  for (const object of [delivered(), listed(jobId, { name: "Build" }), delivered(), listed(), listed(jobId, { steps: [] })]) {
    await see(harness, object, "webhook");
    expect(await rereadOwedLogs(harness.loader, { budgetMs: 10_000 })).toBe(0);
  }
  expect(await versionsOf(harness)).toHaveLength(2);
  await using empty = await openEmptyDatabase();
  await rebuildInto(empty, harness);
  expect(await owed({ loader: { ...harness.loader, db: empty.db } })).toEqual([]);
  expect(await sections(empty)).toEqual(split);
});

test("times of steps that were missing make the log due", async () => {
  await using harness = await openHarness();
  const steps = (listed()["steps"] as Json[]).map((step) => ({ ...step, started_at: null, completed_at: null }));
  await archiveText(harness, jobId, { object: listed(jobId, { steps }), writtenBy: "this extraction" });
  await see(harness, listed(), "get");
  expect(await rereadOwedLogs(harness.loader, { budgetMs: 10_000 })).toBe(1);
  expect(await recordOf(harness)).toMatchObject({ job: listed(), job_source: "get" });
});

test("a fuller object that came before the record was loaded makes the log due as well", async () => {
  await using harness = await openHarness();
  await archiveText(harness, jobId, { object: delivered(), writtenBy: "this extraction", isLoaded: false });
  await see(harness, listed());
  expect(await owed(harness)).toEqual([]);
  await loadRecords(harness.loader, [{ job_id: jobId, key: (await versionsOf(harness))[0] ?? "" }]);
  expect(await owed(harness)).toEqual([jobId]);
});

test("of several readers at once one writes the version, and no log is read twice", async () => {
  await using harness = await openHarness();
  const ids = Array.from({ length: 8 }, (_, index) => jobId + index);
  for (const id of ids) await archiveText(harness, id);
  let reads = 0;
  const store = withCalls(harness.loader.store, ({ method, args, make }) => {
    if (method === "read" && String(args[0]).startsWith("logs/")) reads += 1;
    return make();
  });
  const loader = { ...harness.loader, store };
  await Promise.all([
    rereadOwedLogs(loader, { budgetMs: 30_000 }),
    rereadOwedLogs(loader, { budgetMs: 30_000 }),
    reindex(loader, { choice: {} }),
  ]);
  expect(await owed(harness)).toEqual([]);
  expect(reads).toBe(ids.length);
  for (const id of ids) expect(await versionsOf(harness, id)).toHaveLength(2);
});

test("a crash at any call is healed by the next reading, with one version", { timeout: 300_000 }, async () => {
  await using harness = await openHarness();
  let crashes = 0;
  let id = jobId;
  for (const moment of ["before", "after"] as const) {
    for (let at = 1; ; at += 1) {
      id += 1;
      await archiveText(harness, id);
      const doomed = failing(harness.loader, at, moment);
      const outcome = await rereadLog({ ...harness.loader, ...doomed }, id).catch((problem: unknown) => problem);
      if (doomed.calls() < at) break;
      if (outcome instanceof Error) crashes += 1;
      await rereadLog(harness.loader, id);
      expect(await versionsOf(harness, id), `after a crash ${moment} call ${at}`).toHaveLength(2);
      expect(await harness.ask(`select record_version from archive.logs where job_id = ${id}`)).toEqual([{ record_version: 2 }]);
      expect(await harness.ask(`select message from archive.annotations where job_id = ${id}`)).toEqual([
        { message: "no-var: 3 problems" },
      ]);
    }
  }
  expect(crashes).toBeGreaterThan(30);
  expect(await owed(harness)).toEqual([]);
});

/** The file of a job's log in the harness' folder. */
const pathOf = ({ loader }: Harness, id = jobId) => fileURLToPath(`${loader.store.url}/${logKey(host, refOf(id))}`);

test("a log with other bytes than recorded is reported as damage, nothing is written, and the turn continues", async () => {
  await using harness = await openHarness();
  await archiveText(harness, jobId + 1);
  await archiveText(harness, jobId);
  const path = pathOf(harness, jobId + 1);
  const whole = await readFile(path);
  await writeFile(path, whole.with(20, (whole[20] ?? 0) ^ 1));
  const { loader } = harness;
  expect(await rereadOwedLogs(loader, { budgetMs: 10_000 })).toBe(2);
  expect(await versionsOf(harness, jobId)).toHaveLength(2);
  expect(await versionsOf(harness, jobId + 1)).toHaveLength(1);
  expect(await harness.ask("select object_key, finding from archive.damages")).toEqual([
    { object_key: expect.stringContaining(`${jobId + 1}.log.zst`), finding: "damaged" },
  ]);
  expect(await listRereadProblems(harness.loader.db, extractionVersion, 10)).toMatchObject([
    { job_id: jobId + 1, tries: 1, problem: expect.stringContaining("damaged or changed") },
  ]);
  expect(await countRereads(harness.loader.db, extractionVersion)).toEqual({ older_extraction: 1, fuller_object: 0, failing: 1 });
  // Not again before its backoff ends; an operator's call rereads it at once.
  expect(await rereadOwedLogs(loader, { budgetMs: 10_000 })).toBe(0);
  expect((await reindex(loader, { choice: {} })).failed).toMatchObject([{ job_id: jobId + 1 }]);
  await writeFile(path, whole);
  expect(await reindex(loader, { choice: {} })).toMatchObject({ read: 1, written: 1, failed: [] });
  expect(await countRereads(harness.loader.db, extractionVersion)).toEqual({ older_extraction: 0, fuller_object: 0, failing: 0 });
});

test("a log of other text than its record names is not read into a version", async () => {
  await using harness = await openHarness();
  await archiveText(harness);
  await using other = await openHarness();
  await archiveText(other, jobId, { log: text.replace("7 packages", "8 packages") });
  await writeFile(pathOf(harness), await readFile(pathOf(other)));
  const result = await rereadLog(harness.loader, jobId);
  expect(result).toMatchObject({ outcome: "failed", error: { code: "store/corrupt" } });
  expect(await versionsOf(harness)).toHaveLength(1);
  expect(await harness.ask("select finding from archive.damages")).toEqual([{ finding: "damaged" }]);
});

test("a record that was changed since it was loaded is no ground for a new one", async () => {
  await using harness = await openHarness();
  const key = await archiveText(harness);
  const store = withMethods(harness.loader.store, {
    read: async (name, ...about) => {
      const bytes = await harness.loader.store.read(name, ...about);
      return name === key && bytes ? Buffer.from(bytes.toString("utf8").replace("acme/app", "acme/apq")) : bytes;
    },
  });
  expect(await rereadLog({ ...harness.loader, store }, jobId)).toMatchObject({ outcome: "failed" });
  expect(await versionsOf(harness)).toHaveLength(1);
});

test("an erased log is not reread, whenever it was erased, and its facts are not restored", async () => {
  await using harness = await openHarness();
  const [during, meanwhile, removed] = [jobId + 1, jobId + 2, jobId + 3];
  for (const id of [jobId, during, meanwhile, removed]) await archiveText(harness, id);
  await seal(harness);
  await eraseLog(harness.loader.db, jobId, "a secret");
  expect(await owed(harness)).toEqual([removed, meanwhile, during]);
  expect(await rereadLog(harness.loader, jobId, { isForced: true })).toEqual({ outcome: "not_owed" });

  // Erased during the reread, which then writes nothing.
  const erasing = (id: number, method: "read" | "put"): Store => {
    let erasure: Promise<unknown> | undefined;
    return withCalls(harness.loader.store, async ({ method: called, args, make }) => {
      const isNow = called === method && String(args[0]).includes(`${id}.${method === "read" ? "log" : "2.json"}`);
      if (isNow) erasure ??= eraseLog(harness.loader.db, id, "a secret");
      if (isNow && method === "read") await erasure;
      return make();
    });
  };
  expect(await rereadLog({ ...harness.loader, store: erasing(during, "read") }, during)).toEqual({ outcome: "not_owed" });
  expect(await versionsOf(harness, during)).toHaveLength(1);

  // Its object is removed before its first byte is read.
  const store = withCalls(harness.loader.store, async ({ method, args, make }) => {
    const isNow = method === "read" && String(args[0]).includes(`${removed}.log`) && (await owed(harness)).includes(removed);
    if (isNow) {
      await eraseLog(harness.loader.db, removed, "a secret");
      await seal(harness);
      await removeTombstoned(harness.loader);
    }
    return make();
  });
  expect(await rereadLog({ ...harness.loader, store }, removed)).toEqual({ outcome: "not_owed" });
  expect(await versionsOf(harness, removed)).toHaveLength(1);
  expect(harness.errors).toEqual([]);

  // Erased while the record is written: the erasure waits for it.
  await rereadLog({ ...harness.loader, store: erasing(meanwhile, "put") }, meanwhile);
  await vi.waitFor(async () =>
    expect(await harness.ask(`select log_reason from audit.jobs where job_id = ${meanwhile}`)).toEqual([
      { log_reason: "removed" },
    ]),
  );
  expect(await harness.ask("select * from archive.annotations")).toEqual([]);
  expect(await owed(harness)).toEqual([]);
  await seal(harness);
  await using empty = await openEmptyDatabase();
  await rebuildInto(empty, harness, { publicKey: signer.publicKey });
  expect(await empty.ask("select * from archive.annotations")).toEqual([]);
  expect(await owed({ loader: { ...harness.loader, db: empty.db } })).toEqual([]);
  expect(await auditorRows(empty.ask)).toEqual(await auditorRows(harness.ask));
});

test("a record that a worker puts in force while the log is read stays in force", async () => {
  await using harness = await openHarness();
  await archiveText(harness);
  const before = await recordOf(harness);
  const { schema_version: _schema, previous_sha256: _previous, ...content } = before ?? ({} as never);
  let isWritten = false;
  const store = withCalls(harness.loader.store, async ({ method, args, make }) => {
    if (method === "read" && String(args[0]).startsWith("logs/") && !isWritten) {
      isWritten = true;
      const flags = ["changed_since" as const];
      await putRecord(harness.loader.store, host, refOf(jobId), { ...content, log: { ...content.log, flags } as never });
    }
    return make();
  });
  expect(await rereadLog({ ...harness.loader, store }, jobId)).toEqual({ outcome: "written" });
  const keys = await versionsOf(harness);
  expect(keys).toHaveLength(3);
  expect(await recordOf(harness)).toMatchObject({ log: { flags: ["changed_since"] }, extraction_version: extractionVersion });
});

test("a log that stays owed after a reread is not reread at once", async () => {
  await using harness = await openHarness();
  await archiveText(harness, jobId, { writtenBy: "this extraction" });
  await harness.ask("update archive.logs set extraction_version = null");
  await harness.ask("update archive.log_jobs set extraction_version = 0");
  expect(await rereadOwedLogs(harness.loader, { budgetMs: 10_000 })).toBe(1);
  expect(await owed(harness)).toEqual([jobId]);
  expect(await owed(harness, true)).toEqual([]);
  expect(await versionsOf(harness)).toHaveLength(1);
});

test("a record of a newer extraction is unchanged", async () => {
  await using harness = await openHarness();
  await archiveText(harness, jobId, { object: delivered(), writtenBy: "a newer extraction" });
  await see(harness, listed());
  expect(await owed(harness)).toEqual([]);
  expect(await rereadLog(harness.loader, jobId, { isForced: true })).toMatchObject({ error: { code: "usage/invalid" } });
  expect(await versionsOf(harness)).toHaveLength(1);
});

test("a selection rereads only its jobs, and loading has priority", async () => {
  await using harness = await openHarness();
  await archiveText(harness, jobId, { object: listed(jobId, { completed_at: "2026-05-01T10:00:31Z" }) });
  await archiveText(harness, jobId + 1, { object: listed(jobId + 1, { completed_at: "2026-05-03T10:00:31Z" }) });
  const since = new Date("2026-05-02T00:00:00Z");
  expect(await reindex(harness.loader, { choice: { repository: "acme/other" } })).toMatchObject({ read: 0 });
  expect(await reindex(harness.loader, { choice: { until: since, repository: "ACME/app" } })).toMatchObject({ written: 1 });
  expect(await owed(harness)).toEqual([jobId + 1]);
  await harness.ask(`update archive.log_jobs set log_state = 'pending', record_key = 'x' where job_id = ${jobId}`);
  await harness.ask(`insert into archive.log_jobs (job_id, repository_id, run_id, run_attempt, last_listed_attempt, object, object_source,
      object_received_at, log_state, record_key)
    select job_id + 100 + n, repository_id, run_id, 1, 1, object, object_source, now(), 'pending', 'x'
    from archive.log_jobs, generate_series(1, 299) as n where job_id = ${jobId}`);
  expect(await rereadOwedLogs(harness.loader, { budgetMs: 10_000 })).toBe(0);
  expect(await reindex(harness.loader, { choice: { since } })).toMatchObject({ written: 1 });
});

const [plain, locked] = [await realS3(), await realS3({ isLocked: true })];

function settingsOf(s3: TestS3, more: Partial<StoreSettings> = {}): StoreSettings {
  vi.stubEnv("AWS_ACCESS_KEY_ID", s3.accessKeyId);
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", s3.secretAccessKey);
  const ARCHIVE_URL = new URL(`s3://${s3.bucket}/${s3.prefix}/${randomBytes(4).toString("hex")}`);
  return { ARCHIVE_URL, S3_ENDPOINT: new URL(s3.endpoint), S3_FORCE_PATH_STYLE: true, ...more };
}

async function rereadIn(archive: StoreSettings): Promise<void> {
  await using harness = await openHarness({ archive });
  await archiveText(harness);
  expect(await rereadLog(harness.loader, jobId)).toEqual({ outcome: "written" });
  expect(await rereadLog(harness.loader, jobId, { isForced: true })).toEqual({ outcome: "unchanged" });
  expect(await sections(harness)).toEqual(split);
  expect(await versionsOf(harness)).toHaveLength(2);
}

test("in a bucket", async () => {
  await using s3 = await startTestS3();
  await rereadIn(settingsOf(s3));
});

test.skipIf(plain === undefined)("in a bucket of a real server", async () => {
  if (plain !== undefined) await rereadIn(settingsOf(plain));
});

test.skipIf(locked === undefined)("in a bucket with Object Lock", async () => {
  if (locked !== undefined) await rereadIn(settingsOf(locked, { S3_OBJECT_LOCK_MODE: "GOVERNANCE", S3_OBJECT_LOCK_DAYS: 1 }));
});
