// Logs with real bytes in a harness' store, as a log-worker archives them, and as an older version did.

import { extractLog } from "@actions-archive/archive/log/facts/extraction";
import { LogEncoder } from "@actions-archive/archive/log/log-format";
import { putLog } from "@actions-archive/archive/log/logs";
import type { ArchivedLog, LogRecord } from "@actions-archive/archive/record/record";
import { findRecord } from "@actions-archive/archive/record/records";
import { recordJobs } from "@actions-archive/database/ledger/log-jobs";
import { jobColumns } from "@actions-archive/database/rows/job-rows";
import { jobId, jobObject, type Json, repositoryId, runId, stepObject } from "@actions-archive/database/test-support/samples";

import { loadRecords } from "../src/rows/load-records.ts";
import { type Harness, host } from "./harness.ts";

/** Steps 1 to 4 begin at lines 1, 2, 6 and 10; line 9 is an error of step 3. */
export const text = [
  "2026-05-01T10:00:00.1000000Z Current runner version: '2.330.0'",
  "2026-05-01T10:00:01.1000000Z ##[group]Run npm ci",
  "2026-05-01T10:00:01.1000000Z \u001B[36;1mnpm ci\u001B[0m",
  "2026-05-01T10:00:01.1000000Z ##[endgroup]",
  "2026-05-01T10:00:09.1000000Z added 7 packages",
  "2026-05-01T10:00:10.1000000Z ##[group]Run npm run lint",
  "2026-05-01T10:00:10.1000000Z \u001B[36;1mnpm run lint\u001B[0m",
  "2026-05-01T10:00:10.1000000Z ##[endgroup]",
  "2026-05-01T10:00:29.1000000Z ##[error]no-var: 3 problems",
  "2026-05-01T10:00:30.1000000Z Cleaning up orphan processes",
  "",
].join("\n");

const at = (seconds: number) => `2026-05-01T10:00:${String(seconds).padStart(2, "0")}Z`;
const step = (number: number, name: string, [from, to]: readonly [number, number]) =>
  stepObject(number, { name, started_at: at(from), completed_at: at(to) });
const times = { created_at: at(0), started_at: at(0), completed_at: at(31) };

/** The job of `text` in a listing. */
export const listed = (id = jobId, changes: Json = {}): Json =>
  jobObject({
    id,
    ...times,
    conclusion: "failure",
    steps: [
      step(1, "Set up job", [0, 1]),
      step(2, "Install", [1, 10]),
      step(3, "Lint", [10, 30]),
      step(4, "Complete job", [30, 31]),
    ],
    ...changes,
  });

/** The same in its webhook: the last steps are in progress. https://github.com/octokit/webhooks.net/issues/169 */
export function delivered(id = jobId): Json {
  const [first, second, third, last] = listed(id)["steps"] as Json[];
  const open = { conclusion: null, completed_at: null };
  return listed(id, {
    steps: [
      first,
      { ...second, ...open, status: "in_progress" },
      { ...third, ...open, status: "queued", started_at: null },
      { ...last, ...open, status: "queued", started_at: null },
    ],
  });
}

export const refOf = (job_id: number) => ({ repository_id: repositoryId, run_id: runId, job_id });

/** Writes a job object of GitHub into the ledger. */
export async function see({ loader }: Harness, object: Json, source: "listing" | "webhook" | "get" = "listing"): Promise<void> {
  await recordJobs(loader.db, repositoryId, [{ object, source, listedAttempt: 1 }]);
}

export type ArchiveOptions = {
  readonly object?: Json;
  readonly log?: string;
  /** Whose facts the record has; none by default. */
  readonly writtenBy?: "an older extraction" | "an extraction of equal facts" | "this extraction" | "a newer extraction";
  readonly isLoaded?: boolean;
};

/**
 * Creates a job of the ledger with its log and its record.
 * @returns the record's key
 */
export async function archiveText(harness: Harness, id = jobId, options: ArchiveOptions = {}): Promise<string> {
  const { object = listed(id), log = text, writtenBy = "an older extraction", isLoaded = true } = options;
  await see(harness, object);
  const encoder = new LogEncoder();
  const head = encoder.write(Buffer.from(log));
  const { stored, totals } = encoder.end();
  const put = await putLog(harness.loader.store, host, refOf(id), Buffer.concat([...head, ...stored]), totals);
  const columns = jobColumns(object);
  const extraction = extractLog(totals, { steps: columns?.steps ?? [], completedAt: new Date(at(31)) });
  const archived: ArchivedLog = {
    state: "archived",
    flags: ["same_as_other_job"],
    key: put.key,
    version_id: put.versionId ?? null,
    raw_bytes: totals.rawBytes,
    raw_sha256: totals.rawSha256,
    stored_bytes: put.storedBytes,
    stored_sha256: put.storedSha256,
    ...extraction.text,
  };
  const { extraction_version: _version, ...equal } = extraction.facts;
  const factsBy = {
    "an older extraction": {},
    "an extraction of equal facts": equal,
    "this extraction": extraction.facts,
    "a newer extraction": { ...extraction.facts, extraction_version: extraction.facts.extraction_version + 1 },
  };
  const key = await harness.record(id, archived, {
    job: object as LogRecord["job"],
    job_source: "listing",
    ...factsBy[writtenBy],
  });
  if (isLoaded) await loadRecords(harness.loader, [{ job_id: id, key }]);
  return key;
}

/** Every version of the job's record, in order. */
export async function versionsOf({ loader }: Harness, id = jobId): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of loader.store.list(`records/${host}/${repositoryId}/${runId}/${id}.`)) keys.push(key);
  return keys.toSorted((a, b) => a.length - b.length || (a < b ? -1 : 1));
}

export async function recordOf({ loader }: Harness, id = jobId): Promise<LogRecord | undefined> {
  return (await findRecord(loader.store, host, refOf(id)))?.record;
}
