// Requests runs from GitHub as fast as its arguments allow, on a shared budget. It ignores the waits that answers ask for, so that only
// the budget limits it. Its only argument is JSON. Prints a line per refusal, and exits on SIGTERM.

import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

import { RateLimitedError } from "@actions-archive/core/errors";
import { createLogger } from "@actions-archive/core/logger";
import { openDatabaseBudget } from "@actions-archive/database/budget/credentials";
import { openLedger } from "@actions-archive/database/ledger/open-ledger";
import type { Credentials } from "@actions-archive/github/credentials/credential-store";
import { listRuns } from "@actions-archive/github/endpoints/workflow-runs";
import { openGitHub } from "@actions-archive/github/github";
import { z } from "zod";

const Order = z.object({
  databaseUrl: z.string(),
  apiUrl: z.string(),
  credentials: z.custom<Credentials>(),
  repositories: z.array(z.string()),
  /** Concurrent requests for each repository. */
  atOnce: z.int(),
  /** Pause of each of them after an answer. */
  restMs: z.int(),
  /** The error of this process's clock. */
  clockShiftMs: z.int(),
});

const order = Order.parse(JSON.parse(process.argv[2] ?? ""));
const { databaseUrl, apiUrl, credentials, repositories, atOnce, restMs, clockShiftMs } = order;
const log = createLogger("ask-github", "warn");
const stop = new AbortController();
void once(process, "SIGTERM").then(() => stop.abort());

async function askOn(repository: string, shouldStop: AbortSignal): Promise<void> {
  while (!shouldStop.aborted) {
    try {
      // Without an ETag, since a 304 would not count against the limit.
      await listRuns(github, { repository, perPage: 1, signal: shouldStop });
      if (restMs > 0) await sleep(restMs, undefined, { signal: shouldStop });
    } catch (error) {
      if (shouldStop.aborted) return;
      if (!(error instanceof RateLimitedError)) throw error;
      process.stdout.write(`refused ${repository}\n`);
      await sleep(100, undefined, { signal: shouldStop }).catch(() => undefined);
    }
  }
}

await using database = await openLedger({ url: databaseUrl, applicationName: "ask-github", log });
const budget = openDatabaseBudget(database.db, { reservePercent: 20, now: () => Date.now() + clockShiftMs });
await using github = openGitHub({ apiUrl: new URL(apiUrl), credentials, logHosts: [], budget, log });
await Promise.all(repositories.flatMap((repository) => Array.from({ length: atOnce }, () => askOn(repository, stop.signal))));
