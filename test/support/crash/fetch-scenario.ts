// The scenarios of a fetcher against a simulated GitHub, before the poll or the backfill that is to crash.

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
import type { InitialState } from "./initial-state.ts";

const repository = "octo-org/api";
/** More than the first page of the list shows, so that the fetcher needs a further page. */
const runsBefore = 105;

export type FetchScenario = AsyncDisposable & {
  readonly simulator: Simulator;
  /** Before a rerun scan of a repository that was renamed since the last one, with new runs, an open run and a rerun. */
  readonly preparePoll: () => Promise<InitialState>;
  /** Before a backfill that does not exist yet, of a repository without rows. */
  readonly prepareBackfill: () => Promise<InitialState>;
};

export async function openFetchScenario(): Promise<FetchScenario> {
  await using stack = new AsyncDisposableStack();
  const workspace = stack.use(await openWorkspace());
  const simulator = stack.use(await startSimulator({ scenario: "empty", rateLimits: { perHour: 1_000_000 } }));
  const { id } = simulator.control.addRepository({ repository });
  const fixed = { ...githubSettings(simulator), ...(await engineSettings(workspace)), LOG_LEVEL: "fatal" };
  const settings: Settings = { ...fixed, ARCHIVE_SINCE: new Date(Date.now() - 60 * daySeconds * 1000).toISOString() };
  const opened = stack.move();
  return {
    simulator,
    async preparePoll() {
      const { addRun, rerun, moveRepository } = simulator.control;
      for (let run = 0; run < runsBefore; run += 1) addRun({ repository, completedSecondsAgo: daySeconds + run * hourSeconds });
      const { runId } = addRun({
        repository,
        jobs: [{ name: "a" }, { name: "b", conclusion: "failure" }],
        completedSecondsAgo: 20 * hourSeconds,
      });
      await pollOnce(settings, id);
      await makeRerunScanDue(settings);
      rerun({ runId, failedOnly: true });
      addRun({
        repository,
        jobs: [{ name: "build" }, { name: "lint", conclusion: "skipped" }],
        completedSecondsAgo: 2 * hourSeconds,
      });
      addRun({ repository, state: "in_progress" });
      moveRepository({ repository, name: "service" });
      return initialState(workspace, settings, { operation: "poll" });
    },
    async prepareBackfill() {
      const { addRun, rerun } = simulator.control;
      const ownSettings: Settings = { ...settings, DATABASE_URL: await createTestDatabase({ migrated: true }) };
      for (const day of [1, 2, 3])
        addRun({
          repository,
          jobs: [{ name: "a" }, { name: "b", conclusion: "failure" }],
          completedSecondsAgo: day * daySeconds,
        });
      const { runId } = addRun({ repository, completedSecondsAgo: 4 * daySeconds });
      rerun({ runId });
      await openOnce(ownSettings);
      const span = { since: new Date(Date.now() - 30 * daySeconds * 1000), until: new Date(Date.now() - hourSeconds * 1000) };
      return initialState(workspace, ownSettings, { operation: "backfill", span });
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

function initialState(
  { folder, archive }: Workspace,
  settings: Settings,
  what: Pick<InitialState, "operation" | "span">,
): InitialState {
  return { ...what, folder, settings, copyStore: (name) => copyFolder(archive, join(folder, name)) };
}

/** Copies the folder store `from`, with all objects. */
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

async function makeRerunScanDue({ DATABASE_URL = "" }: Settings): Promise<void> {
  await using database = await openDatabase({ url: DATABASE_URL, applicationName: "test" });
  await database.pool.query("update archive.repositories set rescanned_at = rescanned_at - interval '7 hours'");
}
