// The scenarios of a loader: jobs without rows, records that are not loaded, and attempts without a run record; or all of that
// loaded, sealed once, and changed since.

import { generateKeyPairSync } from "node:crypto";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { logKey } from "@actions-archive/core/object-key";
import { finishCheck } from "@actions-archive/database/ledger/attempts";
import { listUnloadedJobs } from "@actions-archive/database/ledger/log-jobs";
import { recordWrittenRecord } from "@actions-archive/database/ledger/log-states";
import { recordRuns } from "@actions-archive/database/ledger/runs";
import { addWindow } from "@actions-archive/database/ledger/windows";
import { jobId, repositoryId, runId, runObject, stepObject } from "@actions-archive/database/test-support/samples";
import { loadJobs } from "@actions-archive/loader/rows/load-jobs";
import { loadRecords } from "@actions-archive/loader/rows/load-records";
import { loadRun } from "@actions-archive/loader/rows/load-run";
import { sealPending } from "@actions-archive/loader/seal/start-sealing";
import { absent, archived, type Harness, host, openHarness } from "@actions-archive/loader/test-support/harness";
import { requireRedis } from "@actions-archive/testkit/require-redis";
import { inject } from "vitest";

import type { Settings } from "../processes.ts";
import { openWorkspace } from "../workspace.ts";
import { copyFolder } from "./fetch-scenario.ts";
import type { InitialState } from "./initial-state.ts";

export type LoaderScenario = AsyncDisposable & { readonly begin: InitialState };

const attempt = { run_id: runId, run_attempt: 1 };
const facts = {
  sections: [{ step_number: 1, first_line: 3, line_count: 10, raw_start: 80, raw_bytes: 800 }],
  action_uses: [{ step_number: 1, action: "Actions/checkout", ref: "v4", sha: "a".repeat(40), line_number: 2, used_at: null }],
  annotations: [{ step_number: 1, level: "error" as const, line_number: 5, message: "no" }],
};

/** Jobs of one listed run whose logs are in each terminal state, the first with two versions of its record. */
export async function openLoadScenario(): Promise<LoaderScenario> {
  return openLoaderScenario("load", async (harness) => {
    await owe(harness, [jobId, jobId + 1, jobId + 2]);
    await recordWithoutLoading(harness, jobId, await harness.record(jobId, absent));
    await recordWithoutLoading(harness, jobId, await harness.record(jobId, archived(), facts));
    await recordWithoutLoading(harness, jobId + 1, await harness.record(jobId + 1, absent));
    await finishCheck(harness.loader.db, attempt, { state: "listed", jobs: 3, missingJobIds: [] });
  });
}

/** A seal, and after it: more records, a run record, a window, a hold, and a log whose worker crashed before its record. */
export async function openSealScenario(): Promise<LoaderScenario> {
  const key = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });
  const fill = async (harness: Harness) => {
    const { loader } = harness;
    const [identity] = await harness.ask("select archive_id from archive.identity");
    await owe(harness, [jobId]);
    await loadRecords(loader, [{ job_id: jobId, key: await harness.record(jobId, archived(), facts) }]);
    const config = { SEAL_KEY: key, SEAL_KEY_FILE: undefined, SEAL_INTERVAL_SECONDS: 3_600 };
    await sealPending(config, { loader, archiveId: String(identity?.["archive_id"]) });

    await owe(harness, [jobId + 1, jobId + 2]);
    await loadJobs(loader, await listUnloadedJobs(loader.db, 100));
    await loadRecords(loader, [{ job_id: jobId + 1, key: await harness.record(jobId + 1, archived(jobId + 1), facts) }]);
    await finishCheck(loader.db, attempt, { state: "listed", jobs: 3, missingJobIds: [] });
    await loadRun(loader, attempt);
    await recordRuns(loader.db, repositoryId, [runObject({ id: runId + 1, status: "in_progress", conclusion: null })]);
    await addWindow(loader.db, repositoryId, { start: new Date("2026-04-01T00:00:00Z"), end: new Date("2026-05-02T00:00:00Z") });
    await harness.ask(`insert into archive.holds (job_id, is_held, reason) values (${jobId}, true, 'case 7')`);
    const orphan = { repository_id: repositoryId, run_id: runId, job_id: jobId + 2 };
    const put = { sha256: "6b51d431df5d7f141cbececcf79edf3dd861c3b4069f0b11661a3eefacbba918", contentType: "text/plain" };
    await loader.store.put(logKey(host, orphan), Buffer.from("12"), put);
    await harness.ask(`insert into archive.log_leases (job_id, worker) values (${jobId + 2}, 'dead')`);
  };
  return openLoaderScenario("seal", fill, { SEAL_KEY: key });
}

/** The scenario of an operation on the archive that `fill` prepares. @param settings override those of every loader */
export async function openLoaderScenario(
  operation: InitialState["operation"],
  fill: (harness: Harness) => Promise<void>,
  settings: Settings = {},
): Promise<LoaderScenario> {
  await using stack = new AsyncDisposableStack();
  const { folder, archive } = stack.use(await openWorkspace());
  await using harness = await openHarness();
  await fill(harness);
  await cp(fileURLToPath(harness.loader.store.url), archive, { recursive: true });
  const [database] = await harness.ask("select current_database() as name");
  const url = new URL(inject("testPostgresUrl"));
  url.pathname = `/${String(database?.["name"])}`;
  const opened = stack.move();
  return {
    begin: {
      operation,
      folder,
      settings: {
        GITHUB_API_URL: "https://api.github.com",
        DATABASE_URL: url.href,
        QUEUE_URL: requireRedis().url,
        ARCHIVE_URL: pathToFileURL(archive).href,
        ...settings,
      },
      copyStore: (name) => copyFolder(archive, join(folder, name)),
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

async function owe({ owe: oweJob }: Harness, jobIds: readonly number[]): Promise<void> {
  for (const id of jobIds) await oweJob({ id, steps: [stepObject(1), stepObject(2)] });
}

async function recordWithoutLoading({ loader }: Harness, job: number, key: string): Promise<void> {
  await recordWrittenRecord(loader.db, job, key);
}
