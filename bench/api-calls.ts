// The requests that an archive costs against GitHub's limit, from the simulator's journal. A 304 does not count, as at GitHub. Measures one
// pass over 1,000 runs by polling; runs reported by webhooks while polling continues; and an idle hour of polls of 100 repositories.
// npx pnpm exec node bench/api-calls.ts

import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

import { createLogger } from "@actions-archive/core/logger";
import { Producer } from "@actions-archive/core/queue";
import { openDatabaseBudget } from "@actions-archive/database/budget/credentials";
import { openDatabase } from "@actions-archive/database/connection/open-database";
import { listSelectedRepositories } from "@actions-archive/database/ledger/repositories";
import type { Fetcher } from "@actions-archive/fetcher/fetcher";
import { pollRepository } from "@actions-archive/fetcher/poll/poll-repository";
import { selectRepositories } from "@actions-archive/fetcher/repositories/select-repositories";
import type { SimulatorOptions } from "@actions-archive/github-simulator/options";
import { type Simulator, startSimulator } from "@actions-archive/github-simulator/simulator";
import { fullNameOf } from "@actions-archive/github-simulator/world/world";
import { openGitHub } from "@actions-archive/github/github";
import getPort from "get-port";
import { Client } from "pg";

import { mainOf, runCli, type Settings, startProgram } from "../test/support/processes.ts";
import { type Figure, report } from "./support/report.ts";
import { openServers, type Servers } from "./support/servers.ts";
import { until } from "./support/wait.ts";

const secret = "measured";
const runLastsMs = 4_000;
/** A GHES, which has no limit, since requests are counted here and the pace is measured elsewhere. */
const unlimited = { face: "ghes" } as const;

type Calls = {
  readonly all: number;
  readonly lists: number;
  readonly listings: number;
  readonly logs: number;
  readonly other: number;
};

function countCalls({ journal }: Simulator): Calls {
  const counted = journal.entries({ origin: "api" }).filter(({ status }) => status !== 304);
  const count = (pattern: RegExp) => counted.filter(({ url }) => pattern.test(url)).length;
  const [lists, listings, logs] = [count(/\/actions\/runs\?/), count(/\/jobs\?/), count(/\/logs$/)];
  return { all: counted.length, lists, listings, logs, other: counted.length - lists - listings - logs };
}

function settingsOf(simulator: Simulator, repositories: readonly string[], databaseUrl: string, name: string): Settings {
  return {
    GITHUB_API_URL: simulator.apiUrl,
    GITHUB_HOST: "github-simulator",
    GITHUB_TOKEN: simulator.token,
    GITHUB_LOG_HOSTS: simulator.logOrigin,
    ARCHIVE_REPOSITORIES: repositories.join(","),
    ARCHIVE_URL: pathToFileURL(join(servers.folder, name)).href,
    DATABASE_URL: databaseUrl,
    QUEUE_URL: servers.redisUrl,
    SPOOL_DIR: join(servers.folder, `${name}-spool`),
    LOG_LEVEL: "warn",
  };
}

async function countJobs(databaseUrl: string, where: string): Promise<number> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  const { rows } = await client.query<{ count: string }>(`select count(*) from audit.jobs where ${where}`);
  await client.end();
  return Number(rows[0]?.count);
}

/** One repository with 1,000 runs of 1 to 3 jobs, one of eight of them skipped. */
async function measurePass(): Promise<Figure[]> {
  await using simulator = await startSimulator({ ...unlimited, scenario: "empty", logs: { medianBytes: 2_000 } });
  const runs = 1_000;
  for (let index = 0; index < runs; index++) {
    const jobs = Array.from({ length: (index % 3) + 1 }, (_, job) => ({
      name: `job ${job}`,
      bytes: 2_000,
      ...((index * 3 + job) % 8 === 0 ? { conclusion: "skipped" as const } : {}),
    }));
    simulator.control.addRun({ repository: "octo-org/api", jobs, completedSecondsAgo: 600 + index * 97 });
  }
  const databaseUrl = await servers.createDatabase();
  const settings = settingsOf(simulator, ["octo-org/api"], databaseUrl, "pass");
  const { code, stderr } = await runCli(["start", "--once", "--json"], { cwd: servers.folder, settings });
  if (code !== 0) throw new Error(`the pass ended with ${code}: ${stderr}`);
  const calls = countCalls(simulator);
  const archived = await countJobs(databaseUrl, "log_state = 'archived'");
  const skipped = [...simulator.world.jobs.values()].filter(({ conclusion }) => conclusion === "skipped");
  const isOfSkipped = ({ url }: { url: string }) => skipped.some(({ id }) => url.includes(`/jobs/${id}/logs`));
  // The run of a skipped job is listed as well, which the archived jobs pay for.
  const perRun = archived / runs;
  return [
    { what: "pass: list calls per 1,000 runs", measured: calls.lists, limit: { kind: "aim", atMost: 12 } },
    { what: "pass: archived jobs per run", measured: perRun },
    { what: "pass: calls per archived job", measured: calls.all / archived, limit: { kind: "aim", atMost: 1 + 1.05 / perRun } },
    { what: "pass: of them no list, listing or log", measured: calls.other },
    {
      what: "pass: log calls for skipped jobs",
      measured: simulator.journal.entries({ origin: "api" }).filter(isOfSkipped).length,
      limit: { kind: "must", atMost: 0 },
    },
  ];
}

/** Runs of four jobs that begin and end while `start` runs, reported by webhooks, with polls every few seconds. */
async function measureWebhooks(): Promise<Figure[]> {
  const port = await getPort({ host: "127.0.0.1" });
  const webhook = { url: `http://127.0.0.1:${port}/webhooks/github`, secret };
  await using simulator = await startSimulator({ ...unlimited, scenario: "empty", webhook });
  const repository = "octo-org/api";
  simulator.control.addRepository({ repository });
  const databaseUrl = await servers.createDatabase();
  const settings = {
    ...settingsOf(simulator, [repository], databaseUrl, "webhooks"),
    GITHUB_WEBHOOK_SECRET: secret,
    PORT: String(port),
    POLL_INTERVAL_SECONDS: "10",
  };
  await using program = startProgram(mainOf("cli"), ["start"], { cwd: servers.folder, settings });
  await until(
    () =>
      fetch(`http://127.0.0.1:${port}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      ),
    60_000,
  );
  await until(() => simulator.journal.entries({ url: "/actions/runs" }).length > 0, 30_000);
  simulator.journal.clear();
  const runs = 200;
  const jobs = Array.from({ length: 4 }, (_, index) => ({ name: `job ${index}`, bytes: 2_000 }));
  const ends: Promise<unknown>[] = [];
  for (let index = 0; index < runs; index++) {
    const { runId } = simulator.control.addRun({ repository, state: "in_progress", jobs });
    ends.push(sleep(runLastsMs).then(() => simulator.control.completeRun({ runId })));
    await sleep(200);
  }
  await Promise.all(ends);
  await until(async () => (await countJobs(databaseUrl, "log_state = 'archived'")) === runs * jobs.length, 120_000);
  const archived = runs * jobs.length;
  const calls = countCalls(simulator);
  // The listing that proves an attempt complete takes place two minutes after its end.
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  await until(async () => (await client.query("select from archive.attempts where state = 'open'")).rowCount === 0, 300_000);
  await client.end();
  const proven = countCalls(simulator);
  program.stop("SIGTERM");
  await program.ended;
  return [
    {
      what: "webhooks: calls per job until all are archived",
      measured: calls.all / archived,
      limit: { kind: "must", atMost: 1.05 },
    },
    { what: "webhooks: listings before that", measured: calls.listings },
    {
      what: "webhooks: calls per run for the proof of completeness",
      measured: (proven.all - proven.lists - calls.all + calls.lists) / runs,
      limit: { kind: "must", atMost: 1.05 },
    },
  ];
}

/** Runs of four jobs that complete between polls, without webhooks: each is listed immediately, and again when it has settled. */
async function measurePolledRuns(): Promise<Figure[]> {
  await using simulator = await startSimulator({ ...unlimited, scenario: "empty", logs: { medianBytes: 2_000 } });
  const repository = "octo-org/api";
  simulator.control.addRepository({ repository });
  const databaseUrl = await servers.createDatabase();
  const settings = { ...settingsOf(simulator, [repository], databaseUrl, "polled"), POLL_INTERVAL_SECONDS: "5" };
  const jobs = Array.from({ length: 4 }, (_, index) => ({ name: `job ${index}`, bytes: 2_000 }));
  const runs = 40;
  await using program = startProgram(mainOf("cli"), ["start"], { cwd: servers.folder, settings });
  await until(() => simulator.journal.entries({ url: "/actions/runs" }).length > 0, 60_000);
  simulator.journal.clear();
  for (let index = 0; index < runs; index++) {
    simulator.control.addRun({ repository, jobs, completedSecondsAgo: 0 });
    await sleep(250);
  }
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  const countListed = async () => (await client.query("select from archive.attempts where state = 'listed'")).rowCount;
  await until(async () => (await countListed()) === runs, 300_000);
  await client.end();
  program.stop("SIGTERM");
  await program.ended;
  const { listings } = countCalls(simulator);
  return [
    {
      what: "polled as they complete: listings of jobs per run (the second one is the price of settling)",
      measured: listings / runs,
    },
  ];
}

/** Periodic polls and selections of 100 idle repositories. */
async function measureIdleHour(): Promise<Figure[]> {
  const options: SimulatorOptions = { ...unlimited, repositories: 100, runsPerDay: 2, days: 2, cases: "plain", jobsPerRun: 1 };
  await using simulator = await startSimulator(options);
  await using stack = new AsyncDisposableStack();
  const repositories = simulator.world.repositories.filter(({ owner }) => owner.login === "octo-org").map(fullNameOf);
  const { db } = stack.use(await openDatabase({ url: await servers.createDatabase(), applicationName: "bench" }));
  const log = createLogger("bench", "warn");
  const github = stack.use(
    openGitHub({
      apiUrl: new URL(simulator.apiUrl),
      credentials: { kind: "token", token: simulator.token },
      logHosts: [],
      budget: openDatabaseBudget(db, { reservePercent: 20 }),
      log,
    }),
  );
  const queue = { url: new URL(servers.redisUrl), archiveId: randomUUID(), host: "github-simulator" };
  const archiveQueue = stack.use(new Producer("archive", queue, log));
  const loadQueue = stack.use(new Producer("load", queue, log));
  const settings = { ARCHIVE_REPOSITORIES: repositories.join(","), POLL_INTERVAL_SECONDS: 60, RUN_SETTLE_SECONDS: 120 };
  const fetcher: Fetcher = { db, github, archiveQueue, loadQueue, log, settings };
  const { signal } = new AbortController();
  await selectRepositories(fetcher, signal);
  const selected = await listSelectedRepositories(db);
  const poll = async () => {
    for (const { repository_id } of selected) await pollRepository(fetcher, repository_id, { isFullPass: false, signal });
  };
  await poll();
  simulator.journal.clear();
  for (let minute = 0; minute < 60; minute++) {
    if (minute % 10 === 0) await selectRepositories(fetcher, signal);
    await poll();
  }
  const asked = simulator.journal.entries({ origin: "api" }).length;
  return [
    {
      what: `idle hour, ${selected.length} repositories: requests that cost nothing`,
      measured: asked - countCalls(simulator).all,
    },
    {
      what: "idle hour: calls per repository",
      measured: countCalls(simulator).all / selected.length,
      limit: { kind: "must", atMost: 1 },
    },
  ];
}

await using servers: Servers = await openServers();
report([...(await measurePass()), ...(await measureWebhooks()), ...(await measurePolledRuns()), ...(await measureIdleHour())]);
