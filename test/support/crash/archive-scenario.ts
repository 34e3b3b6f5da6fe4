// The scenario of a log-worker on S3 with four logs: one large enough for a spool file, a copy of a job of an earlier attempt, one that
// GitHub does not have, and one that GitHub has deleted, stored by a crashed worker without its record.

import { createHash } from "node:crypto";

import { putLog } from "@actions-archive/archive/log/logs";
import { openStore } from "@actions-archive/archive/open-store";
import type { Store } from "@actions-archive/archive/store/store";
import { type StoreProxy, openStoreProxy } from "@actions-archive/archive/test-support/store-proxy";
import { createLogger } from "@actions-archive/core/logger";
import { recordJobs } from "@actions-archive/database/ledger/log-jobs";
import { selectRepositories } from "@actions-archive/database/ledger/repositories";
import { randomLog } from "@actions-archive/github-simulator/log/random-log";
import { renderJob } from "@actions-archive/github-simulator/render/job";
import { type Simulator, startSimulator } from "@actions-archive/github-simulator/simulator";
import type { Job } from "@actions-archive/github-simulator/world/model";
import { loadRecords, type RecordToLoad } from "@actions-archive/loader/rows/load-records";
import { archiveLog } from "@actions-archive/log-worker/archive-log";
import { loadLogWorkerConfig } from "@actions-archive/log-worker/config";
import type { LogWorker } from "@actions-archive/log-worker/log-worker";
import { openLogWorker } from "@actions-archive/log-worker/start-log-worker";

import { encode } from "../filled-archive.ts";
import type { Settings } from "../processes.ts";
import { engineSettings, githubSettings, openWorkspace } from "../workspace.ts";
import { parse } from "./evidence.ts";
import type { InitialState } from "./initial-state.ts";

const repository = "octo-org/api";
/** Random, so that it does not compress, and its stored form needs a spool file. */
const largeBytes = 3_000_000;

export type ArchiveScenario = AsyncDisposable & { readonly begin: InitialState; readonly front: StoreProxy };

/** @param credentials of the S3 server, as environment variables of the AWS SDK */
export async function openArchiveScenario(credentials: Settings): Promise<ArchiveScenario> {
  await using stack = new AsyncDisposableStack();
  const workspace = stack.use(await openWorkspace());
  const front = stack.use(await openStoreProxy());
  const simulator = stack.use(await startSimulator({ scenario: "empty", rateLimits: { perHour: 1_000_000 } }));
  const { id } = simulator.control.addRepository({ repository });
  const base = front.settings.ARCHIVE_URL.href;
  const settings: Settings = {
    ...credentials,
    ...githubSettings(simulator),
    ...(await engineSettings(workspace)),
    ARCHIVE_URL: base,
    S3_ENDPOINT: front.settings.S3_ENDPOINT?.href ?? "",
    S3_FORCE_PATH_STYLE: "true",
    LOG_WAIT_SECONDS: "1",
    LOG_SETTLE_SECONDS: "0",
    LOG_LEVEL: "fatal",
  };
  const { large } = await fill({ simulator, settings, repositoryId: id });
  const opened = stack.move();
  return {
    front,
    begin: {
      operation: "archive",
      folder: workspace.folder,
      settings,
      async copyStore(name) {
        const own = `${base}-${name}`;
        await using copy = await openStore({ ...front.settings, ARCHIVE_URL: new URL(own) });
        await copyObjects(front.store, copy);
        return { settings: { ARCHIVE_URL: own }, drop: async () => {} };
      },
      forget: { log_leases: ["crashes"] },
      // The flag for a log found without its record is set after a crash only.
      objectOf: (key, bytes) => (key.endsWith(`/${large.id}.json`) ? withoutFlags(parse(bytes)) : undefined),
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

type Contents = { readonly simulator: Simulator; readonly settings: Settings; readonly repositoryId: number };

async function fill({ simulator, settings, repositoryId }: Contents): Promise<{ large: Job }> {
  await using resources = new AsyncDisposableStack();
  const log = createLogger("test", "fatal");
  const { worker } = await openLogWorker(loadLogWorkerConfig(settings), { log, resources });
  await selectRepositories(worker.db, [{ repository_id: repositoryId, full_name: repository, is_private: false }]);
  const { addRun, rerun, setLog } = simulator.control;
  const jobOf = (jobId: number | undefined): Job => {
    const job = simulator.world.jobs.get(jobId ?? 0);
    if (job === undefined) throw new Error("no job");
    return job;
  };
  const recordListed = async (job: Job, listedAttempt = 1) => {
    const object = renderJob(job, simulator.clock.nowMs(), { api: simulator.apiUrl, web: simulator.apiUrl });
    await recordJobs(worker.db, repositoryId, [{ object, source: "listing", listedAttempt }]);
    return job;
  };
  const add = () => recordListed(jobOf(addRun({ repository, completedSecondsAgo: 3_600 }).jobIds[0]));

  const jobs = [{ name: "a" }, { name: "b", conclusion: "failure" as const }];
  const first = addRun({ repository, jobs, completedSecondsAgo: 7_200 });
  const original = await recordListed(jobOf(first.jobIds[0]));
  await archiveAndLoad(worker, original);
  const copy = [...simulator.world.jobs.values()];
  rerun({ runId: first.runId, failedOnly: true });
  for (const job of simulator.world.jobs.values()) if (!copy.includes(job) && job.copyOf === original) await recordListed(job, 2);

  const large = await add();
  large.log = { kind: "text", content: randomLog(large, largeBytes) };
  const [absent, orphan] = [await add(), await add()];
  for (const { id: jobId } of [absent, orphan]) setLog({ jobId, kind: "not-found" });
  // The first 404. The scenario starts before the second, which decides.
  await archiveLog(worker)({ job_id: absent.id }, { signal: AbortSignal.timeout(60_000), attempt: 1, isLastAttempt: false });
  const { stored, totals } = encode(Buffer.from("2026-05-01T10:00:00.0000000Z left by a worker that died\n"));
  const ref = { repository_id: repositoryId, run_id: orphan.run.id, job_id: orphan.id };
  await putLog(worker.store, worker.host, ref, stored, totals);
  return { large };
}

async function archiveAndLoad(worker: LogWorker, { id: job_id }: Job): Promise<void> {
  const { signal } = new AbortController();
  await archiveLog(worker)({ job_id }, { signal, attempt: 1, isLastAttempt: false });
  const records = await worker.db
    .selectFrom("archive.log_jobs")
    .select(["job_id", "record_key as key"])
    .where("record_key", "is not", null)
    .execute();
  await loadRecords(worker, records as RecordToLoad[]);
}

async function copyObjects(from: Store, to: Store): Promise<void> {
  for await (const { key } of from.list("")) {
    if (key.startsWith("probe/")) continue;
    const bytes = (await from.read(key)) ?? Buffer.alloc(0);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const metadata = (await from.head(key))?.metadata ?? {};
    await to.put(key, bytes, { sha256, metadata, contentType: "application/octet-stream" });
  }
}

function withoutFlags(record: unknown): unknown {
  const { log, ...rest } = record as { readonly log: Readonly<Record<string, unknown>> };
  return { ...rest, log: { ...log, flags: [] } };
}
