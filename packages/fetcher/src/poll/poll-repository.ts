// One poll of one repository, under a lease: only one process polls a repository at a time. How the repository is scanned is in
// `scan-repository.ts`.

import { randomUUID } from "node:crypto";

import { ActionsArchiveError, PermanentError, RateLimitedError } from "@actions-archive/core/errors";
import { findRepository, finishPoll, releaseLease, takeLease } from "@actions-archive/database/ledger/repositories";

import type { Fetcher } from "../fetcher.ts";
import { refreshRepository } from "../repositories/refresh-repository.ts";
import { leaseSeconds, withLease } from "../repositories/with-lease.ts";
import { type PollOptions, scanRepository } from "./scan-repository.ts";

/** After a failed poll, the next one waits longer than an interval, and not indefinitely. */
const problemRetrySeconds = 5 * 60;

export type PollOutcome = "polled" | "leased" | "unknown";

/**
 * @returns `leased` when another process polls it now.
 * @throws RateLimitedError, TransientError, PermanentError of the client, recorded as the repository's problem; what was
 * listed before stays listed.
 */
export async function pollRepository(fetcher: Fetcher, repositoryId: number, options: PollOptions): Promise<PollOutcome> {
  const { db } = fetcher;
  const holder = randomUUID();
  if (!(await takeLease(db, repositoryId, holder, leaseSeconds)))
    return (await findRepository(db, repositoryId)) ? "leased" : "unknown";
  const renew = () => takeLease(db, repositoryId, holder, leaseSeconds);
  const lease = { renew, log: fetcher.log.child({ repositoryId }), signal: options.signal };
  try {
    await withLease(lease, (signal) => pollByAnyName(fetcher, repositoryId, { ...options, signal }));
    return "polled";
  } catch (error) {
    await recordProblem(fetcher, repositoryId, error);
    throw error;
  } finally {
    await releaseLease(db, repositoryId, holder);
  }
}

// A repository that moved is nowhere under its old name, or another one is there: it is asked for by its id, once.
async function pollByAnyName(fetcher: Fetcher, repositoryId: number, options: PollOptions): Promise<void> {
  try {
    await scanRepository(fetcher, repositoryId, options);
  } catch (error) {
    if (!(error instanceof PermanentError) || error.code !== "github/not-found") throw error;
    const known = await findRepository(fetcher.db, repositoryId);
    if (known === undefined) throw error;
    const { full_name } = await refreshRepository(fetcher, known, options.signal);
    if (full_name === known.full_name) throw error;
    await scanRepository(fetcher, repositoryId, options);
  }
}

async function recordProblem({ db, log, settings }: Fetcher, repositoryId: number, error: unknown): Promise<void> {
  // An engine of our own that is away says nothing of the repository: its poll stays due.
  if (!(error instanceof ActionsArchiveError) || !error.code.startsWith("github/")) return;
  const waitSeconds = error instanceof RateLimitedError ? (error.retryAt.getTime() - Date.now()) / 1000 : problemRetrySeconds;
  const nextPollSeconds = Math.max(settings.POLL_INTERVAL_SECONDS, waitSeconds);
  log.warn({ repositoryId, code: error.code, reason: error.message, nextPollSeconds }, "repository not listed");
  await finishPoll(db, repositoryId, { nextPollSeconds, problem: error.message });
}
