// A simulated GitHub, a ledger and a store, and log-worker processes that archive given logs.

import { fileURLToPath } from "node:url";

import { openDatabase } from "@actions-archive/database/connection/open-database";
import { recordJobs } from "@actions-archive/database/ledger/log-jobs";
import { selectRepositories } from "@actions-archive/database/ledger/repositories";
import { randomLog } from "@actions-archive/github-simulator/log/random-log";
import { renderJob } from "@actions-archive/github-simulator/render/job";
import { type Simulator, startSimulator } from "@actions-archive/github-simulator/simulator";
import type { Job } from "@actions-archive/github-simulator/world/model";
import { Client } from "pg";

import { type Program, type Settings, startProgram } from "./processes.ts";
import { engineSettings, githubSettings, openWorkspace, type Workspace } from "./workspace.ts";

const main = fileURLToPath(new URL("./archive-logs.ts", import.meta.url));
const repository = "octo-org/api";

export type Order = {
  readonly jobs: readonly Job[];
  /** The external call at which the worker kills itself: before it, or while it is in progress. */
  readonly dieAt?: { readonly call: number; readonly moment: "before" | "during" };
};

export type LogScenario = AsyncDisposable & {
  readonly workspace: Workspace;
  readonly simulator: Simulator;
  readonly settings: Settings;
  /** Adds a job with its own run, at GitHub and in the ledger. */
  readonly addJob: (sizeBytes: number) => Promise<Job>;
  /** Starts a worker that archives these logs concurrently, and exits. */
  readonly startWorker: (order: Order) => Program;
  /** Has the leases of dead workers expire, as the queue waits for before it redelivers their logs. */
  readonly endLeases: () => Promise<void>;
  readonly ask: (query: string) => Promise<Record<string, unknown>[]>;
};

export async function openLogScenario(): Promise<LogScenario> {
  await using stack = new AsyncDisposableStack();
  const workspace = stack.use(await openWorkspace());
  const simulator = stack.use(await startSimulator({ scenario: "empty", rateLimits: { perHour: 1_000_000 } }));
  const { id } = simulator.control.addRepository({ repository });
  const settings: Settings = { ...githubSettings(simulator), ...(await engineSettings(workspace)), LOG_LEVEL: "trace" };
  const databaseUrl = settings["DATABASE_URL"] ?? "";
  const { db } = stack.use(await openDatabase({ url: databaseUrl, applicationName: "test" }));
  await selectRepositories(db, [{ repository_id: id, full_name: repository, is_private: false }]);
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  stack.defer(() => client.end());
  const urls = { api: simulator.apiUrl, web: simulator.apiUrl };
  const opened = stack.move();
  return {
    workspace,
    simulator,
    settings,
    async addJob(sizeBytes) {
      const { jobIds } = simulator.control.addRun({ repository, completedSecondsAgo: 3_600 });
      const job = simulator.world.jobs.get(jobIds[0] ?? 0);
      if (job === undefined) throw new Error("no job");
      job.log = { kind: "text", content: randomLog(job, sizeBytes) };
      const object = renderJob(job, simulator.clock.nowMs(), urls);
      await recordJobs(db, id, [{ object, source: "listing", listedAttempt: 1 }]);
      return job;
    },
    startWorker: ({ jobs, dieAt }) =>
      startProgram(main, [JSON.stringify({ jobIds: jobs.map((job) => job.id), dieAt })], { cwd: workspace.folder, settings }),
    async endLeases() {
      await client.query("update archive.log_leases set leased_until = null");
    },
    async ask(query) {
      return (await client.query<Record<string, unknown>>(query)).rows;
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}
