// Polls one repository under a lease, so that only one process polls it at a time. `scan-repository.ts` does the scan.

import { randomUUID } from "node:crypto";

import { ActionsArchiveError, PermanentError, RateLimitedError } from "@actions-archive/core/errors";
import { findRepository, finishPoll, releaseLease, acquireLease } from "@actions-archive/database/ledger/repositories";

import type { Fetcher } from "../fetcher.ts";
import { refreshRepository } from "../repositories/refresh-repository.ts";
import { leaseSeconds, withLease } from "../repositories/with-lease.ts";
import { type PollOptions, scanRepository } from "./scan-repository.ts";

/** The minimum delay of the next poll after a failed one. */
const problemRetrySeconds = 5 * 60;

export type PollOutcome = "polled" | "leased" | "unknown";

/**
 * Polls a repository and records the result.
 * @returns `leased` when another process polls it now; `unknown` when the ledger has no such repository.
 * @throws RateLimitedError, TransientError, PermanentError of the client, recorded as the repository's problem; what was listed
 * before stays listed.
 */
export async function pollRepository(fetcher: Fetcher, repositoryId: number, options: PollOptions): Promise<PollOutcome> {
  const { db } = fetcher;
  const holder = randomUUID();
  if (!(await acquireLease(db, repositoryId, holder, leaseSeconds)))
    return (await findRepository(db, repositoryId)) ? "leased" : "unknown";
  const renew = () => acquireLease(db, repositoryId, holder, leaseSeconds);
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

// A moved repository is absent under its old name, or another one has that name: the name is then resolved by id, once.
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
  // An unavailable Postgres, Redis or store is no problem of the repository: its poll stays due.
  if (!(error instanceof ActionsArchiveError) || !error.code.startsWith("github/")) return;
  const waitSeconds = error instanceof RateLimitedError ? (error.retryAt.getTime() - Date.now()) / 1000 : problemRetrySeconds;
  const nextPollSeconds = Math.max(settings.POLL_INTERVAL_SECONDS, waitSeconds);
  log.warn({ repositoryId, code: error.code, reason: error.message, nextPollSeconds }, "repository not listed");
  await finishPoll(db, repositoryId, { nextPollSeconds, problem: error.message });
}
