// One look at one repository: lists what is not covered yet, newest first, compares the last 30 days for re-runs from time to
// time, and visits the attempts that still owe their jobs. Only one process looks at a repository at a time.

import { randomUUID } from "node:crypto";

import { ActionsArchiveError, PermanentError, RateLimitedError } from "@actions-archive/core/errors";
import { listOpenAttempts } from "@actions-archive/database/attempts";
import { defaultRetentionDays } from "@actions-archive/database/obligations";
import {
  findRepository,
  finishPoll,
  type LedgerRepository,
  releaseLease,
  takeLease,
} from "@actions-archive/database/repositories";
import { addWindow, listWindows, type Window } from "@actions-archive/database/windows";

import { dayMs, type Fetcher } from "./fetcher.ts";
import { greetRepository, learnCredential } from "./greet-repository.ts";
import { type Head, listHead } from "./list-head.ts";
import { listWindow } from "./list-window.ts";
import { uncoveredSpans } from "./uncovered-spans.ts";
import type { Shown } from "./visit-attempt.ts";
import { visitAttempts } from "./visit-attempts.ts";
import { leaseSeconds, whileLeased } from "./while-leased.ts";

/** A run can be re-run for 30 days. https://docs.github.com/actions/managing-workflow-runs/re-running-workflows-and-jobs */
const rerunDays = 30;
const lookBackEveryMs = 6 * 60 * 60 * 1000;

/** A window is closed only up to here: a run can show up in the list a little after it was created. */
export const settleMs = 2 * 60 * 1000;

/** After a failed look, the next one waits longer than a poll, and not for ever. */
const problemRetrySeconds = 5 * 60;
const visitsListed = 500;
const longestLookMs = 60_000;

export type PollOptions = {
  /** All of it now: the 30 days of re-runs and every open attempt, whatever was looked at when. */
  readonly isFullPass: boolean;
  readonly signal: AbortSignal;
  /** Called whenever something new may stand in the ledger. */
  readonly onProgress?: () => Promise<void>;
  /** How long a look that is no full pass may last, roughly, before it makes room for the next. */
  readonly lookMs?: number;
};

export type PollOutcome = "polled" | "leased" | "unknown";

/**
 * @returns `leased` when another process looks at it now.
 * @throws RateLimitedError, TransientError, PermanentError of the client, written down as the repository's problem; what was
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
    await whileLeased(lease, (signal) => pollByAnyName(fetcher, repositoryId, { ...options, signal }));
    return "polled";
  } catch (error) {
    await noteProblem(fetcher, repositoryId, error);
    throw error;
  } finally {
    await releaseLease(db, repositoryId, holder);
  }
}

// A repository that moved is nowhere under its old name, or another one is there: it is asked for by its id, once.
async function pollByAnyName(fetcher: Fetcher, repositoryId: number, options: PollOptions): Promise<void> {
  try {
    await pollLeased(fetcher, repositoryId, options);
  } catch (error) {
    if (!(error instanceof PermanentError) || error.code !== "github/not-found") throw error;
    const known = await findRepository(fetcher.db, repositoryId);
    if (known === undefined || (await greet(fetcher, known, options)).full_name === known.full_name) throw error;
    await pollLeased(fetcher, repositoryId, options);
  }
}

async function pollLeased(fetcher: Fetcher, repositoryId: number, options: PollOptions): Promise<void> {
  const { db, settings } = fetcher;
  const known = await findRepository(db, repositoryId);
  if (known === undefined) return;
  const isLookBack = isLookBackDue(known, fetcher.github.now(), options);
  const repository = isLookBack || known.problem !== null ? await greet(fetcher, known, options) : known;
  await learnCredential(fetcher, repository, known.credential, options.signal);
  const windows = await listWindows(db, repositoryId);
  const unchangedFrom = windows.at(-1)?.end ?? new Date(Number.MAX_SAFE_INTEGER);
  const etag = { etag: isLookBack ? null : known.runs_etag, credential: known.runs_etag_credential };
  const head = await listHead({ fetcher, repository, signal: options.signal }, etag, unchangedFrom);
  const since = startOf(fetcher, repository, head.date);
  const isAll = await lookWithin(options, async (over) => {
    await listSpans(
      { fetcher, repository, head, options, over },
      spansToList({ since, head, windows, lookedBackAt: isLookBack ? known.rescanned_at : undefined }),
    );
    await visitOpenAttempts(fetcher, repository, options, { over, shown: shownTo(options, head) });
  });
  await finishPoll(db, repositoryId, {
    nextPollSeconds: isAll ? settings.POLL_INTERVAL_SECONDS : 0,
    problem: null,
    archiveSince: since,
    runsEtag: isAll ? head.runsEtag : undefined,
    ...(isLookBack ? { rescannedAt: head.date } : {}),
  });
}

// A long history must not keep what is new waiting: a look ends after a while, and the next begins with the newest again. What is
// compared for re-runs is compared to its end.
async function lookWithin(
  { isFullPass, lookMs = longestLookMs }: PollOptions,
  look: (over: AbortSignal | undefined) => Promise<void>,
): Promise<boolean> {
  const over = isFullPass ? undefined : AbortSignal.timeout(lookMs);
  try {
    await look(over);
    return true;
  } catch (error) {
    if (over?.aborted && error === over.reason) return false;
    throw error;
  }
}

type SpanChoice = {
  readonly since: Date;
  readonly head: Head;
  readonly windows: readonly Window[];
  /** When the last look back was; null: never; undefined: no look back now. */
  readonly lookedBackAt: Date | null | undefined;
};

type Spans = { readonly again: readonly Window[]; readonly uncovered: readonly Window[] };

// What may have been run again since the last look back is listed again, where an earlier look has covered it; a first look is
// just about to. A run of 30 days ago may have been run again a minute after the last look.
function spansToList({ since, head: { date }, windows, lookedBackAt }: SpanChoice): Spans {
  const uncovered = uncoveredSpans({ start: since, end: date }, windows);
  if (lookedBackAt === undefined || windows.length === 0) return { again: [], uncovered };
  const rerunSince = Math.min(date.getTime(), lookedBackAt?.getTime() ?? Infinity) - rerunDays * dayMs;
  const again = { start: new Date(Math.max(since.getTime(), rerunSince)), end: date };
  return { again: [again], uncovered: spansBefore(uncovered, again.start) };
}

type SpanListing = {
  readonly fetcher: Fetcher;
  readonly repository: LedgerRepository;
  readonly head: Head;
  readonly options: PollOptions;
  readonly over: AbortSignal | undefined;
};

async function listSpans({ fetcher, repository, head, options, over }: SpanListing, { again, uncovered }: Spans): Promise<void> {
  const settled = new Date(head.date.getTime() - settleMs);
  const shown = shownTo(options, head);
  const cover = ({ start, end }: Window) =>
    addWindow(fetcher.db, repository.repository_id, { start, end: end < settled ? end : settled });
  // Newest first to the end: a part's jobs are archived before the part before it is listed.
  const coverAndVisit = async (window: Window): Promise<void> => {
    await cover(window);
    await visitOpenAttempts(fetcher, repository, { ...options, isFullPass: false }, { over, shown });
    over?.throwIfAborted();
  };
  const listSpan = async (span: Window, onListed: (window: Window) => Promise<void>): Promise<void> => {
    // What the first page has shown to its end need not be asked for again.
    const { start, end } = span;
    const listedFrom = head.listedFrom ?? end;
    if (listedFrom <= start) return onListed(span);
    if (listedFrom < end) await onListed({ start: listedFrom, end });
    const rest = { start, end: listedFrom < end ? listedFrom : end };
    await listWindow({ fetcher, repository, signal: options.signal, onListed }, rest);
  };
  for (const span of again) await listSpan(span, cover);
  for (const span of uncovered) await listSpan(span, coverAndVisit);
}

// Asked with each look back, and after trouble.
async function greet(fetcher: Fetcher, known: LedgerRepository, { signal }: PollOptions): Promise<LedgerRepository> {
  const { full_name, logRetentionDays } = await greetRepository(fetcher, known, signal);
  return { ...known, full_name, log_retention_days: logRetentionDays ?? known.log_retention_days };
}

// Retention is not retroactive, so a repository that now keeps 30 days may still have logs of 90.
function startOf({ settings }: Fetcher, { archive_since, log_retention_days }: LedgerRepository, date: Date): Date {
  const days = Math.max(log_retention_days ?? 0, defaultRetentionDays);
  const wanted = settings.ARCHIVE_SINCE ?? new Date(date.getTime() - days * dayMs);
  return archive_since !== null && archive_since < wanted ? archive_since : wanted;
}

function isLookBackDue({ rescanned_at }: LedgerRepository, date: Date, { isFullPass }: PollOptions): boolean {
  return isFullPass || rescanned_at === null || date.getTime() - rescanned_at.getTime() >= lookBackEveryMs;
}

function spansBefore(spans: readonly Window[], instant: Date): Window[] {
  return spans.filter(({ start }) => start < instant).map(({ start, end }) => ({ start, end: end < instant ? end : instant }));
}

// A full pass asks for what goes on: it may have ended since the list was read, and there is no later look.
function shownTo({ isFullPass }: PollOptions, { shown }: Head): Shown | undefined {
  return isFullPass ? undefined : shown;
}

async function visitOpenAttempts(
  fetcher: Fetcher,
  repository: LedgerRepository,
  { isFullPass, signal, onProgress }: PollOptions,
  { over, shown }: { readonly over: AbortSignal | undefined; readonly shown: Shown | undefined },
): Promise<void> {
  const visited = new Set<string>();
  for (;;) {
    const due = await listOpenAttempts(fetcher.db, repository.repository_id, {
      onlyDue: !isFullPass || visited.size > 0,
      limit: visitsListed,
    });
    const fresh = due.filter(({ run_id, run_attempt }) => !visited.has(`${run_id}/${run_attempt}`));
    if (fresh.length === 0) return;
    for (const { run_id, run_attempt } of fresh) visited.add(`${run_id}/${run_attempt}`);
    await visitAttempts(fetcher, repository, fresh, { signal, over, onProgress, shown });
    over?.throwIfAborted();
  }
}

async function noteProblem({ db, log, settings }: Fetcher, repositoryId: number, error: unknown): Promise<void> {
  // An engine of ours that is away says nothing of the repository: its look stays due.
  if (!(error instanceof ActionsArchiveError) || !error.code.startsWith("github/")) return;
  const waitSeconds = error instanceof RateLimitedError ? (error.retryAt.getTime() - Date.now()) / 1000 : problemRetrySeconds;
  const nextPollSeconds = Math.max(settings.POLL_INTERVAL_SECONDS, waitSeconds);
  log.warn({ repositoryId, code: error.code, reason: error.message, nextPollSeconds }, "repository not listed");
  await finishPoll(db, repositoryId, { nextPollSeconds, problem: error.message });
}
