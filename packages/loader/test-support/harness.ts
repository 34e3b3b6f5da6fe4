// A loader for tests: its own database and folder store, and a repository with a run in the ledger.

import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { openArchive } from "@actions-archive/archive/open-archive";
import type { StoreSettings } from "@actions-archive/archive/open-store";
import type { LogRecord } from "@actions-archive/archive/record/record";
import { type NewLogRecord, putRecord } from "@actions-archive/archive/record/records";
import { canonicalBytes } from "@actions-archive/archive/store/canonical-bytes";
import { createLogger } from "@actions-archive/core/logger";
import { recordKey } from "@actions-archive/core/object-key";
import { claimIdentity } from "@actions-archive/database/ledger/identity";
import { recordJobs } from "@actions-archive/database/ledger/log-jobs";
import { recordRuns } from "@actions-archive/database/ledger/runs";
import {
  addRepository,
  jobId,
  jobObject,
  type Json,
  repositoryId,
  runId,
  runObject,
} from "@actions-archive/database/test-support/samples";
import { openTestDatabase, type TestDatabase } from "@actions-archive/testkit/test-database";

import type { Loader } from "../src/loader.ts";

export const host = "github.com";

export type Harness = AsyncDisposable & {
  readonly loader: Loader;
  /** Its database, for logins of other roles. */
  readonly database: TestDatabase;
  /** Messages that were logged as errors. */
  readonly errors: string[];
  /** A job of the ledger, its rows owed. */
  readonly owe: (changes?: Json) => Promise<number>;
  /**
   * Puts a record of a job into the store.
   * @returns its key
   */
  readonly record: (job_id: number, log: LogRecord["log"], changes?: Partial<LogRecord>) => Promise<string>;
  /**
   * The same with any content, as no worker would write it, under the next key of the job's records.
   * @returns the key
   */
  readonly plant: Harness["record"];
  readonly ask: (query: string) => Promise<Record<string, unknown>[]>;
  /** Every row of the auditor's tables, without the times of loading. */
  readonly rows: () => Promise<unknown>;
};

/** @param archive replaces the harness' own folder */
export async function openHarness({ archive }: { readonly archive?: StoreSettings } = {}): Promise<Harness> {
  await using resources = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "actions-archive-loader-"));
  resources.defer(() => rm(folder, { recursive: true, force: true }));
  const database = resources.use(await openTestDatabase());
  const { db, pool } = database;
  const { store, identity } = resources.use(
    await openArchive(archive ?? { ARCHIVE_URL: pathToFileURL(folder) }, { host, archiveId: undefined }),
  );
  await claimIdentity(db, identity);
  await addRepository(db);
  await recordRuns(db, repositoryId, [runObject()]);
  const errors: string[] = [];
  const log = createLogger("test", "error", { write: (line) => void errors.push((JSON.parse(line) as { msg: string }).msg) });
  const ask = async (query: string) => (await pool.query<Record<string, unknown>>(query)).rows;
  const opened = resources.move();
  return {
    loader: { db, store, host, log },
    database,
    errors,
    ask,
    async owe(changes = {}) {
      const object = jobObject(changes);
      await recordJobs(db, repositoryId, [{ object, source: "listing", listedAttempt: 1 }]);
      return Number(object["id"]);
    },
    async record(job_id, ended, changes = {}) {
      const ref = { repository_id: repositoryId, run_id: runId, job_id };
      return (await putRecord(store, host, ref, { ...recordOf(job_id, ended), ...changes })).key;
    },
    async plant(job_id, ended, changes = {}) {
      const record = { schema_version: 1, previous_sha256: null, ...recordOf(job_id, ended), ...changes };
      const body = canonicalBytes(record);
      const sha256 = createHash("sha256").update(body).digest("hex");
      for (let version = 1; ; version += 1) {
        const key = recordKey(host, { repository_id: repositoryId, run_id: runId, job_id }, version);
        const outcome = await store.put(key, body, { sha256, contentType: "application/json" });
        if (outcome.kind === "created") return key;
      }
    },
    async rows() {
      const table = (name: string) => ask(`select to_jsonb(t) - 'loaded_at' as row from archive.${name} t order by 1`);
      const names = ["jobs", "steps", "logs", "sections", "action_uses", "annotations"];
      return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await table(name)] as const)));
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

function recordOf(job_id: number, log: LogRecord["log"]): NewLogRecord {
  return {
    host,
    repository: "acme/app",
    repository_id: repositoryId,
    run_id: runId,
    job_id,
    run_attempt: 1,
    last_listed_attempt: 1,
    job: jobObject({ id: job_id }) as LogRecord["job"],
    job_source: "listing",
    job_received_at: "2026-05-01T10:05:00.000Z",
    decided_at: "2026-05-01T10:06:00.000Z",
    log,
  };
}

export const absent = { state: "absent", reason: "deleted", copied_from: null } as const;

export function archived(job_id = jobId): LogRecord["log"] {
  const sha256 = String(job_id).padStart(64, "0");
  return {
    state: "archived",
    flags: ["adopted", "no_end_marker"],
    key: `logs/${host}/${repositoryId}/${runId}/${job_id}.log.zst`,
    version_id: null,
    raw_bytes: 5_000_000_000,
    raw_sha256: sha256,
    stored_bytes: 1_000,
    stored_sha256: sha256,
    lines: 12,
    first_time: "2026-05-01T10:00:10.1234567Z",
    last_time: "2026-05-01T10:04:00.1234567Z",
    oddities: { bom: true, crlf: 0, nul: 0, lines_without_time: 0 },
  };
}
