// A slice of a backfill: at most a minute's work on one repository. First all runs of the span are listed, the newest first, since
// that is cheap; then their attempts are visited, what expires first before all else. What is done stays done: the next slice, in
// whatever process and version, goes on from the ledger.

import { randomUUID } from "node:crypto";

import { ActionsArchiveError, RateLimitedError, TransientError } from "@actions-archive/core/errors";
import {
  type BackfillRef,
  type BackfillSlice,
  type BackfillWork,
  findBackfillRest,
  finishSlice,
  recordListedFrom,
  takeBackfill,
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
/** All is listed and the last logs are on their way: how soon to look again. */
const restPollSeconds = 3;
const transientRetrySeconds = 30;
const problemRetrySeconds = 5 * 60;

export type SliceOptions = {
  readonly signal: AbortSignal;
  /** Called whenever something new may stand in the ledger. */
  readonly onProgress?: () => Promise<void>;
  readonly sliceMs?: number;
};

/** `taken`: another process works on it, or nothing is to be done any more. `waiting`: only logs are owed, which others archive. */
export type SliceOutcome = "taken" | BackfillSlice["kind"];

/**
 * Works a slice. Idempotent.
 * @throws RateLimitedError, TransientError, PermanentError of the client, once they are written down and the next slice is due.
 */
export async function backfillRepository(fetcher: Fetcher, ref: BackfillRef, options: SliceOptions): Promise<SliceOutcome> {
  const { db, log } = fetcher;
  const holder = randomUUID();
  const take = () => takeBackfill(db, ref, holder, leaseSeconds);
  const work = await take();
  if (work === undefined) return "taken";
  const renew = async () => (await take()) !== undefined;
  try {
    const lease = { renew, log, signal: options.signal };
    const slice = await withLease(lease, (signal) => workSlice(fetcher, work, { ...options, signal }));
    await finishSlice(db, ref, holder, slice);
    return slice.kind;
  } catch (error) {
    const slice = sliceThatFailed(error);
    if (slice.problem !== null)
      log.warn({ ...ref, repository: work.full_name, reason: slice.problem, seconds: slice.seconds }, "backfill not continued");
    await finishSlice(db, ref, holder, slice);
    throw error;
  }
}

async function workSlice(fetcher: Fetcher, work: BackfillWork, options: SliceOptions): Promise<BackfillSlice> {
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
  const { isUnlisted, isOwed } = await findBackfillRest(fetcher.db, repository_id, { start, end });
  const isReadAgain = (await listIncomplete(fetcher, work)).some(({ isGap }) => !isGap);
  if (isUnlisted || isReadAgain) return more(restPollSeconds);
  return isOwed ? { kind: "waiting", seconds: restPollSeconds } : { kind: "done" };
}

/** Parts of the span in which GitHub showed fewer runs than it promised. */
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

/** Lists what is not listed yet. @returns false when the slice was over first. */
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
    // Seconds that GitHub caps are reported by nobody, and are gaps of their own.
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

function sliceThatFailed(error: unknown): Extract<BackfillSlice, { kind: "more" }> {
  // Stopped, or the lease was lost: it goes on at once, here or elsewhere.
  if (!(error instanceof ActionsArchiveError)) return { kind: "more", seconds: 0, problem: null };
  if (error instanceof RateLimitedError)
    return { kind: "more", seconds: Math.max(0, (error.retryAt.getTime() - Date.now()) / 1000), problem: null };
  const seconds = error instanceof TransientError ? transientRetrySeconds : problemRetrySeconds;
  return { kind: "more", seconds, problem: error.message };
}
