// An archive with given logs, in its own folder store and database, for tests of commands that read.

import { LogEncoder } from "@actions-archive/archive/log/log-format";
import { putLog } from "@actions-archive/archive/log/logs";
import { openArchive } from "@actions-archive/archive/open-archive";
import type { LogRecord, Section } from "@actions-archive/archive/record/record";
import { putRecord } from "@actions-archive/archive/record/records";
import type { Store } from "@actions-archive/archive/store/store";
import { createLogger } from "@actions-archive/core/logger";
import { type Database, openDatabase } from "@actions-archive/database/connection/open-database";
import { claimIdentity } from "@actions-archive/database/ledger/identity";
import { recordJobs } from "@actions-archive/database/ledger/log-jobs";
import { selectRepositories } from "@actions-archive/database/ledger/repositories";
import { loadJobs } from "@actions-archive/loader/rows/load-jobs";
import { loadRecords } from "@actions-archive/loader/rows/load-records";

import type { ProgramOptions } from "./processes.ts";
import { engineSettings, simulatedHost as host, type Workspace } from "./workspace.ts";

export type StepObject = { readonly number: number; readonly name: string; readonly conclusion: string };

export type JobToAdd = {
  readonly job_id: number;
  readonly repository?: string;
  readonly name?: string;
  readonly workflow_name?: string;
  readonly conclusion?: string;
  readonly completed_at?: string;
  readonly steps?: readonly StepObject[];
};

export type FilledArchive = AsyncDisposable & {
  readonly db: Database;
  readonly store: Store;
  /** Options of programs that read this archive. */
  readonly options: ProgramOptions;
  /** Adds a job whose log is due, with its rows unless `isLoaded` is false. */
  readonly owe: (job: JobToAdd, isLoaded?: boolean) => Promise<void>;
  /** Adds a job with its log. @returns the log's key */
  readonly archive: (job: JobToAdd, text: Buffer | string, sections?: readonly Section[]) => Promise<string>;
  readonly settleAbsent: (job: JobToAdd, log: Extract<LogRecord["log"], { state: "absent" }>) => Promise<void>;
};

/** Above 2^32, as GitHub's ids are by now. */
export const firstJobId = 61_901_817_921;
const repositoryIds = new Map([
  ["acme/app", 700_000_001],
  ["acme/web", 700_000_002],
]);

export async function openFilledArchive(workspace: Workspace): Promise<FilledArchive> {
  await using resources = new AsyncDisposableStack();
  const settings = await engineSettings(workspace);
  const log = createLogger("test", "error");
  const { db } = resources.use(await openDatabase({ url: settings["DATABASE_URL"] ?? "", applicationName: "test" }));
  const { store, identity } = resources.use(
    await openArchive({ ARCHIVE_URL: new URL(settings["ARCHIVE_URL"] ?? "") }, { host, archiveId: undefined }),
  );
  await claimIdentity(db, identity);
  await selectRepositories(
    db,
    Array.from(repositoryIds, ([full_name, repository_id]) => ({ repository_id, full_name, is_private: false })),
  );
  const loader = { db, store, host, log };
  const owe = async (job: JobToAdd, isLoaded = true) => {
    const snapshot = { object: jobObject(job), source: "listing", listedAttempt: 1 } as const;
    await recordJobs(db, refOf(job).repository_id, [snapshot]);
    if (isLoaded) await loadJobs(loader, [job.job_id]);
  };
  const settle = async (job: JobToAdd, outcome: Pick<LogRecord, "log" | "sections">) => {
    await owe(job);
    const { key } = await putRecord(store, host, refOf(job), { ...recordOf(job), ...outcome });
    await loadRecords(loader, [{ job_id: job.job_id, key }]);
  };
  const opened = resources.move();
  return {
    db,
    store,
    options: { cwd: workspace.folder, settings },
    owe,
    async archive(job, text, sections) {
      const { stored, totals } = encode(Buffer.from(text));
      const { key } = await putLog(store, host, refOf(job), stored, totals);
      await settle(job, { log: archivedLog(key, totals), sections: sections?.map((section) => section) });
      return key;
    },
    settleAbsent: (job, absent) => settle(job, { log: absent }),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

type Totals = ReturnType<LogEncoder["end"]>["totals"];

export function encode(raw: Buffer): { stored: Buffer; totals: Totals } {
  const encoder = new LogEncoder();
  const stored = encoder.write(raw);
  const { stored: rest, totals } = encoder.end();
  return { stored: Buffer.concat([...stored, ...rest]), totals };
}

export function archivedLog(key: string, totals: Totals): LogRecord["log"] {
  return {
    state: "archived",
    flags: [],
    key,
    version_id: null,
    raw_bytes: totals.rawBytes,
    raw_sha256: totals.rawSha256,
    stored_bytes: totals.storedBytes,
    stored_sha256: totals.storedSha256,
    lines: totals.lines,
    first_time: totals.firstTime ?? null,
    last_time: totals.lastTime ?? null,
    oddities: {
      bom: totals.oddities.bom,
      crlf: totals.oddities.crlf,
      nul: totals.oddities.nul,
      lines_without_time: totals.oddities.linesWithoutTime,
    },
  };
}

function refOf({ job_id, repository = "acme/app" }: JobToAdd) {
  return { repository_id: repositoryIds.get(repository) ?? 0, run_id: 26_365_060_973, job_id };
}

function jobObject(job: JobToAdd) {
  const { name = "build", workflow_name = "CI", conclusion = "success", completed_at = "2026-05-01T10:04:00Z", steps = [] } = job;
  return {
    id: job.job_id,
    run_id: refOf(job).run_id,
    run_attempt: 1,
    name,
    workflow_name,
    head_branch: "main",
    head_sha: "8a1f".repeat(10),
    status: "completed",
    conclusion,
    created_at: "2026-05-01T10:00:00Z",
    started_at: "2026-05-01T10:00:10Z",
    completed_at,
    runner_id: 7,
    runner_name: "GitHub Actions 7",
    labels: ["ubuntu-24.04"],
    steps: steps.map((step) => ({ ...step, status: "completed" })),
  };
}

function recordOf(job: JobToAdd) {
  return {
    host,
    repository: job.repository ?? "acme/app",
    ...refOf(job),
    run_attempt: 1,
    last_listed_attempt: 1,
    job: jobObject(job),
    job_source: "listing" as const,
    job_received_at: "2026-05-01T10:05:00.000Z",
    decided_at: "2026-05-01T10:06:00.000Z",
  };
}
