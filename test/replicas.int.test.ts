// Two replicas of each worker as processes, on one Redis, one Postgres and one folder: no work is done twice, no two fetchers poll a
// repository concurrently, and SIGTERM ends each process cleanly during its work.

import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { createLogger } from "@actions-archive/core/logger";
import { Producer } from "@actions-archive/core/queue";
import { stages } from "@actions-archive/core/stages";
import type { JournalEntry } from "@actions-archive/github-simulator/http/journal";
import { type Simulator, startSimulator } from "@actions-archive/github-simulator/simulator";
import { fullNameOf } from "@actions-archive/github-simulator/world/world";
import { Client } from "pg";
import { expect, test, vi } from "vitest";
import { z } from "zod";

import { checkFolder } from "./support/check-folder.ts";
import { mainOf, type Program, type Settings, startProgram } from "./support/processes.ts";
import { engineSettings, githubSettings, openWorkspace, simulatedHost } from "./support/workspace.ts";

const names = ["fetcher-1", "fetcher-2", "log-worker-1", "log-worker-2", "loader-1", "loader-2"] as const;
type Name = (typeof names)[number];
type Replicas = Readonly<Record<Name, Program>> & AsyncDisposable;

// Each process has its own credential, so that the journal shows which process sent a request.
const tokenOf = (name: Name) => `ghp_test-${name}`;
const kindOf = (name: Name) => name.slice(0, -2) as "fetcher" | "log-worker" | "loader";

function startReplicas(cwd: string, settings: Settings): Replicas {
  const stack = new AsyncDisposableStack();
  const start = (name: Name) =>
    stack.use(startProgram(mainOf(kindOf(name)), [], { cwd, settings: { ...settings, GITHUB_TOKEN: tokenOf(name) } }));
  // `programs` has a program for every name of `names`.
  const programs = Object.fromEntries(names.map((name) => [name, start(name)])) as Record<Name, Program>;
  return { ...programs, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function stopCleanly(programs: readonly Program[]): Promise<void> {
  for (const program of programs) program.stop("SIGTERM");
  for (const { code, signal, stdout } of await Promise.all(programs.map(({ ended }) => ended)))
    expect({ code, signal, last: stdout.trimEnd().split("\n").at(-1) }).toEqual({
      code: 0,
      signal: null,
      last: expect.stringContaining('"msg":"stopped"'),
    });
}

async function untilAllTerminal(client: Client, simulator: Simulator): Promise<void> {
  const { jobs } = await simulator.control.world({});
  const wanted = jobs.filter(({ expected }) => expected !== undefined).length;
  await vi.waitFor(
    async () => {
      const { rows } = await client.query<{ terminal: number; unrecorded: number }>(
        `select (select count(*)::int from audit.jobs where log_state in ('archived', 'absent')) as terminal,
          (select count(*)::int from archive.attempts where record_key is null) as unrecorded`,
      );
      expect(rows).toEqual([{ terminal: wanted, unrecorded: 0 }]);
    },
    { timeout: 120_000, interval: 250 },
  );
}

/** @returns the requests of polls, per repository, in order of arrival. */
function pollRequests({ journal, world }: Simulator): Map<string, JournalEntry[]> {
  const byId = new Map(world.repositories.map((repository) => [String(repository.id), fullNameOf(repository)]));
  return Map.groupBy(
    journal
      .entries({ origin: "api" })
      .filter(({ url, credential }) => credential?.startsWith("fetcher-") && url.includes("/actions/runs")),
    ({ url }) => {
      const [, id, name] = /^\/(?:repositories\/(\d+)|repos\/([^/]+\/[^/]+))\/actions\/runs/.exec(url) ?? [];
      return (id === undefined ? name : byId.get(id)) ?? url;
    },
  );
}

/** @returns where a fetcher's poll of a repository began before the other's had ended. A poll begins with the first page of runs. */
function overlapsOf(requests: readonly JournalEntry[]): string[] {
  const overlaps: string[] = [];
  for (const [index, entry] of requests.entries()) {
    const before = requests[index - 1];
    if (before === undefined || before.credential === entry.credential) continue;
    const isOpening = /\/actions\/runs\?/.test(entry.url) && !/[?&]page=(?!1\b)/.test(entry.url);
    if (!isOpening || before.finishedAt === undefined || before.finishedAt > entry.receivedAt)
      overlaps.push(`${before.credential} ${before.url} and ${entry.credential} ${entry.url}`);
  }
  return overlaps;
}

/** @returns by job: how often its log was downloaded. */
function downloadsOf({ journal }: Simulator): Map<number, number> {
  const jobIds = journal
    .entries({ origin: "log" })
    .map(({ url }) => Number.parseInt(/-([0-9a-f]{12})\/logs\//.exec(url)?.[1] ?? "", 16));
  return new Map(
    Array.from(
      Map.groupBy(jobIds, (id) => id),
      ([id, all]) => [id, all.length],
    ),
  );
}

async function activeWork(archive: string, redisUrl: string): Promise<Record<string, number>> {
  const { archive_id: archiveId } = z
    .object({ archive_id: z.string() })
    .parse(JSON.parse(await readFile(join(archive, "archive.json"), "utf8")));
  const active: Record<string, number> = {};
  for (const scenario of Object.keys(stages) as (keyof typeof stages)[]) {
    await using queue = new Producer(
      scenario,
      { url: new URL(redisUrl), archiveId, host: simulatedHost },
      createLogger("test", "silent"),
    );
    active[scenario] = (await queue.counts()).active;
  }
  return active;
}

test(
  "two replicas of each worker do all work once, never poll a repository side by side, and drain on SIGTERM",
  { timeout: 300_000 },
  async () => {
    await using workspace = await openWorkspace();
    await using simulator = await startSimulator({
      repositories: 6,
      runsPerDay: 4,
      days: 3,
      jobsPerRun: 3,
      logs: { medianBytes: 8_000, tailShareOfLogs: 0 },
      rateLimits: { perHour: 1_000_000 },
      credentials: names.map((name) => ({ token: tokenOf(name), id: name })),
    });
    // Slow enough that a poll lasts longer than the polling interval, so work is always in progress.
    simulator.faults.add({ origin: "api", path: "/repos/*/actions/runs", times: "forever", delayMs: 300 });
    simulator.faults.add({ origin: "log", times: "forever", delayMs: 60 });
    const repositories = simulator.world.repositories.slice(0, 6).map(fullNameOf);
    const engines = await engineSettings(workspace);
    const settings = {
      ...githubSettings(simulator),
      ...engines,
      ARCHIVE_REPOSITORIES: repositories.join(","),
      POLL_INTERVAL_SECONDS: "1",
      DOWNLOAD_CONCURRENCY: "4",
    };
    const client = new Client({ connectionString: engines["DATABASE_URL"] });
    await client.connect();
    await using cleanup = new AsyncDisposableStack();
    cleanup.defer(() => client.end());

    await using replicas = startReplicas(workspace.folder, settings);
    const downloads = () => simulator.journal.entries({ origin: "log" });
    await vi.waitFor(() => expect(downloads().length).toBeGreaterThan(40), { timeout: 120_000 });
    // With downloads and loads in progress.
    await stopCleanly([replicas["log-worker-2"], replicas["loader-2"]]);
    await untilAllTerminal(client, simulator);
    // New runs, while both fetchers poll.
    for (const repository of repositories) simulator.control.addRun({ repository, jobs: [{ name: "late" }, { name: "later" }] });
    await untilAllTerminal(client, simulator);
    // Both fetchers are polling now, or are about to.
    await stopCleanly([replicas["fetcher-1"], replicas["fetcher-2"], replicas["log-worker-1"], replicas["loader-1"]]);

    expect(await activeWork(workspace.archive, engines["QUEUE_URL"] ?? "")).toEqual({ fetch: 0, archive: 0, load: 0 });
    const polls = pollRequests(simulator);
    expect([...polls.keys()].toSorted()).toEqual(repositories.toSorted());
    expect([...polls.values()].flatMap(overlapsOf)).toEqual([]);
    const pollers = new Set([...polls.values()].flat().map(({ credential }) => credential));
    expect(pollers).toEqual(new Set(["fetcher-1", "fetcher-2"]));

    const { jobs } = await simulator.control.world({});
    const expectedDownloads = jobs.flatMap(({ jobId, expected }): [number, number][] => {
      if (expected?.state !== "archived") return [];
      // A log without its end marker is read once more before it is stored.
      return [[jobId, expected.flags.includes("no_end_marker") ? 2 : 1]];
    });
    expect(expectedDownloads.length).toBeGreaterThan(150);
    const found = downloadsOf(simulator);
    const wrongDownloads = expectedDownloads.filter(([jobId, times]) => found.get(jobId) !== times);
    expect(wrongDownloads.map(([jobId, times]) => ({ jobId, times, found: found.get(jobId) }))).toEqual([]);
    const workers = new Set(simulator.journal.entries({ url: "/logs", status: 302 }).map(({ credential }) => credential));
    expect(workers).toEqual(new Set(["log-worker-1", "log-worker-2"]));

    const { archive } = workspace;
    const verdict = await checkFolder({ simulator, archive, databaseUrl: engines["DATABASE_URL"], hadFaults: false });
    expect(verdict.violations).toEqual([]);
    expect(verdict.archived).toBe(expectedDownloads.length);
  },
);
