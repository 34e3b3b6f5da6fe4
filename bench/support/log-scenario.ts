// Log-worker processes on real engines, and logs of any size for them: from a simulated GitHub, through the queue, into a folder. The
// resources of a process are read from /proc (Linux).

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";

import { openArchive, type OpenArchive } from "@actions-archive/archive/open-archive";
import { createLogger } from "@actions-archive/core/logger";
import { Producer } from "@actions-archive/core/queue";
import { type OpenDatabase, openDatabase } from "@actions-archive/database/connection/open-database";
import { recordJobs } from "@actions-archive/database/ledger/log-jobs";
import { selectRepositories } from "@actions-archive/database/ledger/repositories";
import { migrateDatabase } from "@actions-archive/database/migration/migrate";
import { renderJob } from "@actions-archive/github-simulator/render/job";
import { type Simulator, startSimulator } from "@actions-archive/github-simulator/simulator";
import type { Job } from "@actions-archive/github-simulator/world/model";
import { openRunFolder } from "@actions-archive/testkit/run-folder";
import { openTestPostgres } from "@actions-archive/testkit/test-postgres";
import { openTestRedis } from "@actions-archive/testkit/test-redis";

const repository = "octo-org/api";
const host = "github-simulator";
const root = fileURLToPath(new URL("../../", import.meta.url));
const watchLoop = fileURLToPath(new URL("./watch-loop.ts", import.meta.url));
/** Of the kernel's clock ticks in /proc; 100 on every Linux that Node supports. */
const ticksPerSecond = 100;

export type LogScenario = AsyncDisposable & {
  /** Temporary, for the logs' files. */
  readonly folder: string;
  readonly simulator: Simulator;
  readonly archive: OpenArchive;
  /** Adds a job with this file as its log. */
  readonly addJob: (path: string) => Promise<Job>;
  /** @returns a new link to a job's log, as issued by the API. */
  readonly linkTo: (job: Job) => Promise<string>;
  /** Archives these logs in a separate process, from its start to its end. */
  readonly archiveAll: (jobs: readonly Job[], options?: { readonly nodeOptions?: readonly string[] }) => Promise<Cost>;
};

export type Cost = {
  /** User and system time of the process, without its start. */
  readonly cpuSeconds: number;
  /** From the first enqueued job to the last stored record. */
  readonly seconds: number;
  readonly peakBytes: number;
  readonly maxBlockMs: number;
};

export async function openLogScenario(): Promise<LogScenario> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "actions-archive-bench-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const log = createLogger("bench", "warn");
  const run = stack.use(await openRunFolder());
  const postgres = stack.use(await openTestPostgres({ url: undefined, folder: run.path, log }));
  const redis = stack.use(await openTestRedis({ url: undefined, folder: run.path }));
  if ("missing" in redis.provided) throw new Error(redis.provided.missing);
  await migrateDatabase(postgres.url);
  const database = stack.use(await openDatabase({ url: postgres.url, applicationName: "bench" }));
  const simulator = stack.use(await startSimulator({ scenario: "empty", rateLimits: { perHour: 1_000_000 } }));
  const { id } = simulator.control.addRepository({ repository });
  await selectRepositories(database.db, [{ repository_id: id, full_name: repository, is_private: false }]);
  const archiveUrl = pathToFileURL(join(folder, "archive"));
  const archive = stack.use(await openArchive({ ARCHIVE_URL: archiveUrl }, { host, archiveId: undefined }));
  const queue = { url: new URL(redis.provided.url), archiveId: archive.identity.archive_id, host };
  const producer = stack.use(new Producer("archive", queue, log));
  const env = workerSettings(simulator, {
    DATABASE_URL: postgres.url,
    QUEUE_URL: redis.provided.url,
    ARCHIVE_URL: archiveUrl.href,
    SPOOL_DIR: join(folder, "spool"),
  });
  await mkdir(join(folder, "logs"));
  const opened = stack.move();
  return {
    folder: join(folder, "logs"),
    simulator,
    archive,
    async addJob(path) {
      const { jobIds } = simulator.control.addRun({ repository, completedSecondsAgo: 3_600 });
      const job = simulator.world.jobs.get(jobIds[0] ?? 0);
      if (job === undefined) throw new Error("no job");
      job.log = { kind: "file", path, bytes: (await stat(path)).size };
      const object = renderJob(job, simulator.clock.nowMs(), { api: simulator.apiUrl, web: simulator.apiUrl });
      await recordJobs(database.db, id, [{ object, source: "listing", listedAttempt: 1 }]);
      // Marks a first read as done: the text is old, and no feeder runs here for a second read.
      await database.db
        .updateTable("archive.log_jobs")
        .set({ incomplete_read_at: new Date() })
        .where("job_id", "=", job.id)
        .execute();
      return job;
    },
    linkTo: (job) => requestLink(simulator, job),
    async archiveAll(jobs, { nodeOptions = [] } = {}) {
      const loopFile = join(folder, "loop-delay");
      const args = ["--import", watchLoop, ...nodeOptions];
      const child = spawn(process.execPath, [...args, join(root, "packages/log-worker/src/main.ts")], {
        env: { ...env, LOOP_DELAY_FILE: loopFile },
        stdio: ["ignore", "pipe", "inherit"],
      });
      for (let printed = ""; !printed.includes('"msg":"started"');) printed += String((await once(child.stdout, "data"))[0]);
      child.stdout.resume();
      const idle = await readUsage(child.pid ?? 0);
      const began = performance.now();
      await producer.add(jobs.map(({ id: job_id }) => ({ job_id })));
      await untilRecorded(database, jobs, child, (ids) => producer.add(ids.map((job_id) => ({ job_id }))));
      const seconds = (performance.now() - began) / 1000;
      const { cpuSeconds, peakBytes } = await readUsage(child.pid ?? 0);
      child.kill("SIGTERM");
      await once(child, "exit");
      const maxBlockMs = Number(await readFile(loopFile, "utf8"));
      return { cpuSeconds: cpuSeconds - idle.cpuSeconds, peakBytes, seconds, maxBlockMs };
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

function workerSettings({ apiUrl, token, logOrigin }: Simulator, engines: Readonly<Record<string, string>>) {
  return {
    PATH: "/usr/local/bin:/usr/bin:/bin",
    GITHUB_API_URL: apiUrl,
    GITHUB_HOST: host,
    GITHUB_TOKEN: token,
    GITHUB_LOG_HOSTS: logOrigin,
    LOG_SETTLE_SECONDS: "0",
    LOG_LEVEL: "info",
    ...engines,
  };
}

async function requestLink({ apiUrl, token }: Simulator, { id }: Job): Promise<string> {
  const answer = await fetch(`${apiUrl}/repos/${repository}/actions/jobs/${id}/logs`, {
    headers: { authorization: `Bearer ${token}`, "user-agent": "bench" },
    redirect: "manual",
  });
  return answer.headers.get("location") ?? "";
}

/** `enqueue` gets the logs that the worker wants to read twice, since no feeder runs here. The queue drops those that it still contains. */
async function untilRecorded(
  { db }: OpenDatabase,
  jobs: readonly Job[],
  child: ChildProcess,
  enqueue: (jobIds: readonly number[]) => Promise<unknown>,
): Promise<void> {
  const ids = jobs.map(({ id }) => id);
  for (;;) {
    const rows = await db
      .selectFrom("archive.log_jobs")
      .select(["job_id", "record_key", "log_reason", "unconfirmed_answer"])
      .where("job_id", "in", ids)
      .execute();
    if (rows.every(({ record_key }) => record_key !== null)) return;
    const unconfirmed = rows
      .filter(({ unconfirmed_answer, record_key }) => unconfirmed_answer !== null && record_key === null)
      .map(({ job_id }) => job_id);
    if (unconfirmed.length > 0) await enqueue(unconfirmed);
    const failed = rows.find(({ log_reason }) => log_reason !== null);
    if (failed !== undefined) throw new Error(`the log of job ${failed.job_id} failed: ${failed.log_reason}`);
    if (child.exitCode !== null || child.signalCode !== null) throw new Error("the log-worker ended before its work was done");
    await sleep(100);
  }
}

async function readUsage(pid: number): Promise<Pick<Cost, "cpuSeconds" | "peakBytes">> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const line = await readFile(`/proc/${pid}/stat`, "utf8");
  // proc(5): fields 14 and 15, counted after the name, which may contain anything.
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  return { cpuSeconds: ticks / ticksPerSecond, peakBytes: Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024 };
}

/** Hashes the bytes of a file as a stream. */
export async function hashInto(hash: { update(chunk: Buffer): unknown }, path: string): Promise<void> {
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>) hash.update(chunk);
}
