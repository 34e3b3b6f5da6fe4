// Scans one repository: lists spans that are not covered, newest first; scans the last 30 days for re-runs periodically; lists
// incomplete spans again; and checks attempts whose jobs are not final.

import { dayMs } from "@actions-archive/core/durations";
import { listOpenAttempts } from "@actions-archive/database/ledger/attempts";
import { defaultRetentionDays } from "@actions-archive/database/ledger/log-jobs";
import { findRepository, finishPoll, type LedgerRepository } from "@actions-archive/database/ledger/repositories";
import { finishSecondListing, listWindowChecks, type WindowCheck } from "@actions-archive/database/ledger/window-checks";
import { listWindows, type Window } from "@actions-archive/database/ledger/windows";
import { trustedDate } from "@actions-archive/github/transport/clock-skew";

import { checkAttempts } from "../attempts/check-attempts.ts";
import { confirmAttempts } from "../attempts/confirm-attempts.ts";
import type { Fetcher } from "../fetcher.ts";
import { refreshRepository, recordCredentialOf } from "../repositories/refresh-repository.ts";
import { coverWindow, recordIncompletePart } from "../runs/cover-window.ts";
import { listWindow } from "../runs/list-window.ts";
import { uncoveredSpans } from "../runs/uncovered-spans.ts";
import { type FirstPage, listFirstPage } from "./list-first-page.ts";

export type PollOptions = {
  /** Scans for re-runs and checks every open attempt now, regardless of the schedule. */
  readonly isFullPass: boolean;
  readonly signal: AbortSignal;
  /** Called whenever the ledger may have changed. */
  readonly onProgress?: () => Promise<void>;
  /** The approximate maximum duration of a poll that is no full pass. */
  readonly maxPollMs?: number;
};

/** A run can be re-run for 30 days. https://docs.github.com/actions/managing-workflow-runs/re-running-workflows-and-jobs */
const rerunDays = 30;
const rerunScanEveryMs = 6 * 60 * 60 * 1000;

/** A window ends at least this long before now, since a run can appear in the list shortly after its creation. */
export const settleMs = 2 * 60 * 1000;

const attemptsListed = 500;
const defaultMaxPollMs = 60_000;

/** @throws the client's errors as they are; what was listed before stays listed. */
export async function scanRepository(fetcher: Fetcher, repositoryId: number, options: PollOptions): Promise<void> {
  const { db, settings } = fetcher;
  const known = await findRepository(db, repositoryId);
  if (known === undefined) return;
  const isRerunScan = isRerunScanDue(known, fetcher.github.now(), options);
  const repository = isRerunScan || known.problem !== null ? await refresh(fetcher, known, options) : known;
  await recordCredentialOf(fetcher, repository, known.credential, options.signal);
  const windows = await listWindows(db, repositoryId);
  const unchangedFrom = windows.at(-1)?.end ?? new Date(Number.MAX_SAFE_INTEGER);
  const etag = { etag: isRerunScan ? null : known.runs_etag, credential: known.runs_etag_credential };
  const firstPage = await listFirstPage({ fetcher, repository, signal: options.signal }, etag, unchangedFrom);
  const checks = await listWindowChecks(db, repositoryId);
  const scan = { fetcher, repository, firstPage, checks, options, isRerunScan };
  // Runs of an answer with a skewed Date are recorded and archived, but no window ends at that Date.
  if (firstPage.skewMs !== undefined) await checkOpenAttempts({ ...scan, over: undefined }, options);
  const now = trustedDate(fetcher.github, firstPage);
  const since = startOf(fetcher, repository, now);
  const isAll = await workWithin(options, async (over) => {
    const rerunScannedAt = isRerunScan ? known.rescanned_at : undefined;
    await listSpans({ ...scan, over }, chooseSpans({ since, now, windows, checks, rerunScannedAt }, options));
    await checkOpenAttempts({ ...scan, over }, options);
    const isReopened = await confirmAttempts(fetcher, repository, { signal: options.signal, over });
    if (isReopened) await checkOpenAttempts({ ...scan, over }, { ...options, isFullPass: false });
  });
  await finishPoll(db, repositoryId, {
    nextPollSeconds: isAll ? settings.POLL_INTERVAL_SECONDS : 0,
    problem: null,
    archiveSince: since,
    runsEtag: isAll ? firstPage.runsEtag : undefined,
    ...(isRerunScan ? { rescannedAt: now } : {}),
  });
}

// A long history must not delay new runs: a poll ends after `maxPollMs`, and the next one starts with the newest runs. A re-run
// scan is always finished.
async function workWithin(
  { isFullPass, maxPollMs = defaultMaxPollMs }: PollOptions,
  work: (over: AbortSignal | undefined) => Promise<void>,
): Promise<boolean> {
  const over = isFullPass ? undefined : AbortSignal.timeout(maxPollMs);
  try {
    await work(over);
    return true;
  } catch (error) {
    if (over?.aborted && error === over.reason) return false;
    throw error;
  }
}

type SpanChoice = {
  readonly since: Date;
  /** GitHub's clock. */
  readonly now: Date;
  readonly windows: readonly Window[];
  readonly checks: readonly WindowCheck[];
  /** The time of the last re-run scan; null: never; undefined: no scan now. */
  readonly rerunScannedAt: Date | null | undefined;
};

type Spans = {
  /** Covered spans to list again. */
  readonly again: readonly Window[];
  /** Spans due for their planned second listing. */
  readonly second: readonly Window[];
  readonly uncovered: readonly Window[];
};

// Lists covered spans again whose runs may have been re-run since the last scan; spans without a window are listed anyway. A run
// of 30 days ago may have been re-run a minute after the last scan, so the scan starts 30 days before the last one.
function chooseSpans({ since, now, windows, checks, rerunScannedAt }: SpanChoice, { isFullPass }: PollOptions): Spans {
  const isTurn = ({ isDue, reason }: WindowCheck) => isDue || (isFullPass && reason !== "second_listing");
  const waiting = checks.filter((check) => check.reason === "incomplete" && !isTurn(check));
  // Spans before `since` belong to a backfill, which may be done.
  const older = checks.filter((check) => check.reason === "incomplete" && isTurn(check) && check.end <= since);
  const uncovered = [...uncoveredSpans({ start: since, end: now }, [...windows, ...waiting]), ...older.toReversed()];
  const second = checks.filter((check) => check.reason === "second_listing" && isTurn(check));
  const unusable = checks.filter((check) => check.reason === "unusable" && isTurn(check));
  if (rerunScannedAt === undefined || windows.length === 0) return { again: unusable, second, uncovered };
  const rerunSince = Math.min(now.getTime(), rerunScannedAt?.getTime() ?? Infinity) - rerunDays * dayMs;
  const rerun = { start: new Date(Math.max(since.getTime(), rerunSince)), end: now };
  return {
    again: [rerun, ...unusable.filter(({ start }) => start < rerun.start)],
    second,
    uncovered: spansBefore(uncovered, rerun.start),
  };
}

type Scan = {
  readonly fetcher: Fetcher;
  readonly repository: LedgerRepository;
  readonly firstPage: FirstPage;
  readonly checks: readonly WindowCheck[];
  readonly options: PollOptions;
  readonly over: AbortSignal | undefined;
  readonly isRerunScan: boolean;
};

async function listSpans(scan: Scan, { again, second, uncovered }: Spans): Promise<void> {
  const { fetcher, repository, firstPage, options, over } = scan;
  const { repository_id } = repository;
  const settled = settledAt(firstPage);
  const secondListingBefore = new Date(firstPage.date.getTime() - rerunDays * dayMs);
  const untilSettled = ({ start, end }: Window): Window => ({ start, end: end < settled ? end : settled });
  const cover = (window: Window, unusable: number) => coverWindow(fetcher, repository_id, untilSettled(window), { unusable });
  // Each part's attempts are checked before the next older part is listed.
  const coverAndCheck = async (window: Window, unusable: number): Promise<void> => {
    await coverWindow(fetcher, repository_id, untilSettled(window), { unusable, secondListingBefore });
    await checkOpenAttempts(scan, { ...options, isFullPass: false });
    over?.throwIfAborted();
  };
  for (const span of again) await listSpan(scan, span, cover);
  for (const span of uncovered) await listSpan(scan, span, coverAndCheck);
  for (const span of second) {
    await listSpan(scan, span, cover);
    await finishSecondListing(fetcher.db, repository_id, span);
    over?.throwIfAborted();
  }
}

function settledAt({ date }: FirstPage): Date {
  return new Date(date.getTime() - settleMs);
}

type OnListed = (window: Window, unusable: number) => Promise<void>;

async function listSpan(scan: Scan, { start, end }: Window, onListed: OnListed): Promise<void> {
  const { fetcher, repository, firstPage, checks, options, isRerunScan } = scan;
  // A span that the first page covers needs no second request. A re-run scan compares it with a second answer, and an incomplete
  // span is closed only by its own list.
  const fellShort = checks.some((check) => check.reason === "incomplete" && check.start < end && check.end > start);
  const listedFrom = isRerunScan || fellShort ? end : (firstPage.listedFrom ?? end);
  if (listedFrom <= start) return onListed({ start, end }, 0);
  if (listedFrom < end) await onListed({ start: listedFrom, end }, 0);
  const rest = { start, end: listedFrom < end ? listedFrom : end };
  const onIncomplete = recordIncompletePart(fetcher, repository, settledAt(firstPage));
  const shownRuns = firstPage.runs;
  await listWindow({ fetcher, repository, shownRuns, signal: options.signal, onListed, onIncomplete }, rest);
}

// Refreshed with each re-run scan and after a problem.
async function refresh(fetcher: Fetcher, known: LedgerRepository, { signal }: PollOptions): Promise<LedgerRepository> {
  const { full_name, logRetentionDays } = await refreshRepository(fetcher, known, signal);
  return { ...known, full_name, log_retention_days: logRetentionDays ?? known.log_retention_days };
}

// Retention is not retroactive, so a repository that now keeps 30 days may still have logs of 90.
function startOf({ settings }: Fetcher, { archive_since, log_retention_days }: LedgerRepository, date: Date): Date {
  const days = Math.max(log_retention_days ?? 0, defaultRetentionDays);
  const wanted = settings.ARCHIVE_SINCE ?? new Date(date.getTime() - days * dayMs);
  return archive_since !== null && archive_since < wanted ? archive_since : wanted;
}

function isRerunScanDue({ rescanned_at }: LedgerRepository, date: Date, { isFullPass }: PollOptions): boolean {
  return isFullPass || rescanned_at === null || date.getTime() - rescanned_at.getTime() >= rerunScanEveryMs;
}

function spansBefore(spans: readonly Window[], instant: Date): Window[] {
  return spans.filter(({ start }) => start < instant).map(({ start, end }) => ({ start, end: end < instant ? end : instant }));
}

async function checkOpenAttempts(scan: Scan, { isFullPass, signal, onProgress }: PollOptions): Promise<void> {
  const { fetcher, repository, firstPage, over, options } = scan;
  // A full pass requests runs in progress, too: they may have ended since the list was read, and no later poll follows.
  const shownOpen = options.isFullPass ? undefined : firstPage.shownOpen;
  const checked = new Set<string>();
  for (;;) {
    const due = await listOpenAttempts(fetcher.db, repository.repository_id, {
      onlyDue: !isFullPass || checked.size > 0,
      limit: attemptsListed,
    });
    const fresh = due.filter(({ run_id, run_attempt }) => !checked.has(`${run_id}/${run_attempt}`));
    if (fresh.length === 0) return;
    for (const { run_id, run_attempt } of fresh) checked.add(`${run_id}/${run_attempt}`);
    await checkAttempts(fetcher, repository, fresh, { signal, over, onProgress, shownOpen });
    over?.throwIfAborted();
  }
}
