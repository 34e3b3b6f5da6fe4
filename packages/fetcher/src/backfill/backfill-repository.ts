// Runs one slice of a backfill: at most a minute of work on one repository. First all runs of the span are listed, newest first,
// since listing is cheap. Then their attempts are checked, earliest log expiry first. Progress is in the ledger, so any process
// and version can run the next slice.

import { randomUUID } from "node:crypto";

import { ActionsArchiveError, RateLimitedError, TransientError } from "@actions-archive/core/errors";
import {
  type BackfillRef,
  type BackfillSlice,
  type BackfillWork,
  findBackfillRemainder,
  finishSlice,
  recordListedFrom,
  leaseBackfillSlice,
} from "@actions-archive/database/backfill/backfills";
import { listAttemptsByExpiry } from "@actions-archive/database/ledger/attempts";
import { listWindowChecks, type WindowCheck } from "@actions-archive/database/ledger/window-checks";
import type { Window } from "@actions-archive/database/ledger/windows";

import { checkAttempts } from "../attempts/check-attempts.ts";
import type { Fetcher } from "../fetcher.ts";
import { refreshRepository, recordCredentialOf } from "../repositories/refresh-repository.ts";
import { leaseSeconds, withLease } from "../repositories/with-lease.ts";
import { coverWindow, recordIncompletePart } from "../runs/cover-window.ts";
import { listWindow } from "../runs/list-window.ts";
import type { ListedRepository } from "../runs/record-page.ts";

const maxSliceMs = 60_000;
const attemptsListed = 500;
/** The delay until the next slice when all runs are listed and only logs are pending. */
const restPollSeconds = 3;
const transientRetrySeconds = 30;
const problemRetrySeconds = 5 * 60;

export type SliceOptions = {
  readonly signal: AbortSignal;
  /** Called whenever the ledger may have changed. */
  readonly onProgress?: () => Promise<void>;
  readonly sliceMs?: number;
};

/**
 * `taken`: another process holds the lease, or nothing is left to do. `waiting`: only logs are pending, which the log-workers
 * archive.
 */
export type SliceOutcome = "taken" | BackfillSlice["kind"];

/**
 * Runs a slice. Idempotent.
 * @throws RateLimitedError, TransientError, PermanentError of the client, after the error is recorded and the next slice
 * scheduled.
 */
export async function backfillRepository(fetcher: Fetcher, ref: BackfillRef, options: SliceOptions): Promise<SliceOutcome> {
  const { db, log } = fetcher;
  const holder = randomUUID();
  const take = () => leaseBackfillSlice(db, ref, holder, leaseSeconds);
  const work = await take();
  if (work === undefined) return "taken";
  const renew = async () => (await take()) !== undefined;
  try {
    const lease = { renew, log, signal: options.signal };
    const slice = await withLease(lease, (signal) => runSlice(fetcher, work, { ...options, signal }));
    await finishSlice(db, ref, holder, slice);
    return slice.kind;
  } catch (error) {
    const slice = failedSlice(error);
    if (slice.problem !== null)
      log.warn({ ...ref, repository: work.full_name, reason: slice.problem, seconds: slice.seconds }, "backfill not continued");
    await finishSlice(db, ref, holder, slice);
    throw error;
  }
}

async function runSlice(fetcher: Fetcher, work: BackfillWork, options: SliceOptions): Promise<BackfillSlice> {
  const { signal, sliceMs = maxSliceMs } = options;
  const over = AbortSignal.timeout(sliceMs);
  const { repository_id, since: start, until: end } = work;
  const findDue = () => listAttemptsByExpiry(fetcher.db, repository_id, { start, end }, attemptsListed);
  let due = await findDue();
  const incomplete = await listIncomplete(fetcher, work);
  if (work.listed_from > start || due.length > 0 || incomplete.some(({ isDue }) => isDue)) {
    const repository = { repository_id, full_name: (await refreshRepository(fetcher, work, signal)).full_name };
    await recordCredentialOf(fetcher, repository, work.credential, signal);
    if (!(await listRest(fetcher, { work, repository, options, over }))) return more(0);
    for (due = await findDue(); due.length > 0; due = await findDue()) {
      await checkAttempts(fetcher, repository, due, { ...options, over });
      if (over.aborted) return more(0);
    }
  }
  const { isUnlisted, isOwed } = await findBackfillRemainder(fetcher.db, repository_id, { start, end });
  const isRetryPending = (await listIncomplete(fetcher, work)).some(({ isGap }) => !isGap);
  if (isUnlisted || isRetryPending) return more(restPollSeconds);
  return isOwed ? { kind: "waiting", seconds: restPollSeconds } : { kind: "done" };
}

/** Parts of the span in which GitHub listed fewer runs than it counted. */
async function listIncomplete({ db }: Fetcher, { repository_id, since, until }: BackfillWork): Promise<WindowCheck[]> {
  const checks = await listWindowChecks(db, repository_id);
  return checks.filter(({ reason, start, end }) => reason === "incomplete" && start >= since && end <= until);
}

type Listing = {
  readonly work: BackfillWork;
  readonly repository: ListedRepository;
  readonly options: SliceOptions;
  readonly over: AbortSignal;
};

/**
 * Lists the rest of the span.
 * @returns false when the slice's time ended first.
 */
async function listRest(fetcher: Fetcher, { work, repository, options, over }: Listing): Promise<boolean> {
  const onListed = async (window: Window, unusable: number): Promise<void> => {
    await coverWindow(fetcher, work.repository_id, window, { unusable, secondListingBefore: work.until });
    await recordListedFrom(fetcher.db, work, window.start);
    await options.onProgress?.();
    over.throwIfAborted();
  };
  const onIncomplete = recordIncompletePart(fetcher, repository);
  const listing = { fetcher, repository, backfillId: work.backfill_id, signal: options.signal, onListed, onIncomplete };
  try {
    if (work.listed_from > work.since) await listWindow(listing, { start: work.since, end: work.listed_from });
    for (const part of await listIncomplete(fetcher, work)) if (part.isDue) await listWindow(listing, part);
    // Seconds that reach GitHub's cap are not reported to `onListed`; they are gaps of their own.
    await recordListedFrom(fetcher.db, work, work.since);
    return true;
  } catch (error) {
    if (over.aborted && error === over.reason) return false;
    throw error;
  }
}

function more(seconds: number): BackfillSlice {
  return { kind: "more", seconds, problem: null };
}

function failedSlice(error: unknown): Extract<BackfillSlice, { kind: "more" }> {
  // The process stops or the lease was lost: the next slice runs at once, here or elsewhere.
  if (!(error instanceof ActionsArchiveError)) return { kind: "more", seconds: 0, problem: null };
  if (error instanceof RateLimitedError)
    return { kind: "more", seconds: Math.max(0, (error.retryAt.getTime() - Date.now()) / 1000), problem: null };
  const seconds = error instanceof TransientError ? transientRetrySeconds : problemRetrySeconds;
  return { kind: "more", seconds, problem: error.message };
}
