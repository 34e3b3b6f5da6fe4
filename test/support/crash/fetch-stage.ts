// A simulated GitHub, and what a fetcher has of it before the look or the backfill that is to be cut short.

import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { daySeconds, hourSeconds } from "@actions-archive/core/durations";
import { createLogger } from "@actions-archive/core/logger";
import { openDatabase } from "@actions-archive/database/connection/open-database";
import { selectRepositories } from "@actions-archive/database/ledger/repositories";
import { loadFetcherConfig } from "@actions-archive/fetcher/config";
import { pollRepository } from "@actions-archive/fetcher/poll/poll-repository";
import { openFetcher } from "@actions-archive/fetcher/start-fetcher";
import { type Simulator, startSimulator } from "@actions-archive/github-simulator/simulator";
import { createTestDatabase } from "@actions-archive/testkit/test-database";

import type { Settings } from "../processes.ts";
import { engineSettings, githubSettings, openWorkspace, type Workspace } from "../workspace.ts";
import type { InitialState } from "./beginning.ts";

const repository = "octo-org/api";
/** More than the first page of the list shows, so that the rest is listed by itself. */
const runsBefore = 105;

export type FetchStage = AsyncDisposable & {
  readonly simulator: Simulator;
  /** A look back at a repository that was renamed since the last one, with new runs, one that goes on, and one that was run again. */
  readonly beginPoll: () => Promise<InitialState>;
  /** No backfill yet, and nothing of its repository. */
  readonly beginBackfill: () => Promise<InitialState>;
};

export async function openFetchStage(): Promise<FetchStage> {
  await using stack = new AsyncDisposableStack();
  const workspace = stack.use(await openWorkspace());
  const simulator = stack.use(await startSimulator({ scenario: "empty", rateLimits: { perHour: 1_000_000 } }));
  const { id } = simulator.control.addRepository({ repository });
  const fixed = { ...githubSettings(simulator), ...(await engineSettings(workspace)), LOG_LEVEL: "fatal" };
  const settings: Settings = { ...fixed, ARCHIVE_SINCE: new Date(Date.now() - 60 * daySeconds * 1000).toISOString() };
  const opened = stack.move();
  return {
    simulator,
    async beginPoll() {
      const { addRun, rerun, moveRepository } = simulator.control;
      for (let run = 0; run < runsBefore; run += 1) addRun({ repository, completedSecondsAgo: daySeconds + run * hourSeconds });
      const { runId } = addRun({
        repository,
        jobs: [{ name: "a" }, { name: "b", conclusion: "failure" }],
        completedSecondsAgo: 20 * hourSeconds,
      });
      await pollOnce(settings, id);
      await setBackLookBack(settings);
      rerun({ runId, failedOnly: true });
      addRun({
        repository,
        jobs: [{ name: "build" }, { name: "lint", conclusion: "skipped" }],
        completedSecondsAgo: 2 * hourSeconds,
      });
      addRun({ repository, state: "in_progress" });
      moveRepository({ repository, name: "service" });
      return begin(workspace, settings, { act: "poll" });
    },
    async beginBackfill() {
      const { addRun, rerun } = simulator.control;
      const own: Settings = { ...settings, DATABASE_URL: await createTestDatabase({ migrated: true }) };
      for (const day of [1, 2, 3])
        addRun({
          repository,
          jobs: [{ name: "a" }, { name: "b", conclusion: "failure" }],
          completedSecondsAgo: day * daySeconds,
        });
      const { runId } = addRun({ repository, completedSecondsAgo: 4 * daySeconds });
      rerun({ runId });
      await openOnce(own);
      const span = { since: new Date(Date.now() - 30 * daySeconds * 1000), until: new Date(Date.now() - hourSeconds * 1000) };
      return begin(workspace, own, { act: "backfill", span });
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

function begin({ folder, archive }: Workspace, settings: Settings, what: Pick<InitialState, "act" | "span">): InitialState {
  return { ...what, folder, settings, copyStore: (name) => copyFolder(archive, join(folder, name)) };
}

/** A folder store of its own with all that is in `from`. */
export async function copyFolder(from: string, to: string) {
  await cp(from, to, { recursive: true });
  return {
    settings: { ARCHIVE_URL: pathToFileURL(to).href },
    drop: () => rm(to, { recursive: true, force: true }),
  };
}

async function openOnce(settings: Settings): Promise<void> {
  await using resources = new AsyncDisposableStack();
  await openFetcher(loadFetcherConfig(settings), { log: createLogger("test", "fatal"), resources }, "test");
}

async function pollOnce(settings: Settings, repository_id: number): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const { fetcher } = await openFetcher(loadFetcherConfig(settings), { log: createLogger("test", "fatal"), resources }, "test");
  await selectRepositories(fetcher.db, [{ repository_id, full_name: repository, is_private: false }]);
  await pollRepository(fetcher, repository_id, { isFullPass: true, signal: new AbortController().signal });
}

async function setBackLookBack({ DATABASE_URL = "" }: Settings): Promise<void> {
  await using database = await openDatabase({ url: DATABASE_URL, applicationName: "test" });
  await database.pool.query("update archive.repositories set rescanned_at = rescanned_at - interval '7 hours'");
}
