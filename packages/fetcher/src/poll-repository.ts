// One look at one repository: lists what is not covered yet, newest first, compares the last 30 days for re-runs from time to
// time, and visits the attempts that still owe their jobs. Only one process looks at a repository at a time.
import { randomUUID } from "node:crypto";

import { ActionsArchiveError, PermanentError, RateLimitedError } from "@actions-archive/core/errors";
import {
  findRepository,
  finishPoll,
  type LedgerRepository,
  noteCredential,
  releaseLease,
  renameRepository,
  takeLease,
} from "@actions-archive/database/repositories";
import { listOpenAttempts } from "@actions-archive/database/runs";
import { addWindow, listWindows, type Window } from "@actions-archive/database/windows";
import { getLogRetention, getRepository } from "@actions-archive/github/repositories";

import { dayMs, defaultRetentionDays, type Fetcher } from "./fetcher.ts";
import { listWindow } from "./list-window.ts";
import { uncoveredSpans } from "./uncovered-spans.ts";
import { visitAttempt } from "./visit-attempt.ts";

/** A run can be re-run for 30 days. https://docs.github.com/actions/managing-workflow-runs/re-running-workflows-and-jobs */
const rerunDays = 30;
const rescanEveryMs = 6 * 60 * 60 * 1000;

/** A window is closed only up to here: a run can show up in the list a little after it was created. */
const settleMs = 2 * 60 * 1000;

/** A dead holder's lease ends within the minute that every lease may last. */
const leaseSeconds = 45;
const leaseRenewalMs = 15_000;

/** After a failed look, the next one waits longer than a poll, and not for ever. */
const problemRetrySeconds = 5 * 60;
const visitsAtOnce = 500;

export type PollOptions = {
  /** All of it now: the 30 days of re-runs and every open attempt, whatever was looked at when. */
  readonly isFullPass: boolean;
  readonly signal: AbortSignal;
  /** Called whenever something new may stand in the ledger. */
  readonly onProgress?: () => Promise<void>;
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
  const lost = new AbortController();
  const renewal = setInterval(() => {
    takeLease(db, repositoryId, holder, leaseSeconds).then(
      (isHeld) => isHeld || lost.abort(new Error("the lease of the repository was lost")),
      (error: unknown) => fetcher.log.warn({ err: error, repositoryId }, "lease not renewed"),
    );
  }, leaseRenewalMs);
  try {
    await pollLeased(fetcher, repositoryId, { ...options, signal: AbortSignal.any([options.signal, lost.signal]) });
    return "polled";
  } catch (error) {
    await noteProblem(fetcher, repositoryId, error);
    throw error;
  } finally {
    clearInterval(renewal);
    await releaseLease(db, repositoryId, holder);
  }
}

async function pollLeased(fetcher: Fetcher, repositoryId: number, options: PollOptions): Promise<void> {
  const { db, settings } = fetcher;
  const known = await findRepository(db, repositoryId);
  if (known === undefined) return;
  const rescan = isRescanDue(known, fetcher.github.now(), options);
  const { repository, date, logRetentionDays } =
    rescan || known.problem !== null ? await greet(fetcher, known, options) : unchanged(fetcher, known);
  const credential = await fetcher.github.credentialFor(repository.full_name, options.signal);
  if (credential !== known.credential) await noteCredential(db, repositoryId, credential);
  const since = startOf(fetcher, repository, date, logRetentionDays);
  const windows = await listWindows(db, repositoryId);
  const spans = uncoveredSpans({ start: since, end: date }, windows);
  // The last 30 days are listed again for re-runs where an earlier look has covered them; a first look just did.
  const again = { start: new Date(Math.max(since.getTime(), date.getTime() - rerunDays * dayMs)), end: date };
  const settled = new Date(date.getTime() - settleMs);
  for (const span of rescan && windows.length > 0 ? [again, ...spansBefore(spans, again.start)] : spans) {
    await listWindow(fetcher, repository, span, {
      signal: options.signal,
      // Newest first to the end: a part's jobs are archived before the part before it is listed.
      async onListed(window) {
        await addWindow(db, repositoryId, { start: window.start, end: window.end < settled ? window.end : settled });
        await visitOpenAttempts(fetcher, repository, { ...options, isFullPass: false });
      },
    });
  }
  await visitOpenAttempts(fetcher, repository, options);
  await finishPoll(db, repositoryId, {
    nextPollSeconds: settings.POLL_INTERVAL_SECONDS,
    problem: null,
    archiveSince: since,
    ...(rescan ? { rescannedAt: date } : {}),
    ...(logRetentionDays === undefined ? {} : { logRetentionDays }),
  });
}

type Greeting = {
  readonly repository: LedgerRepository;
  readonly date: Date;
  readonly logRetentionDays: number | undefined;
};

// Asked with each look back, and after trouble: what the repository is called now, how long it keeps logs, what time it is.
async function greet({ github, db }: Fetcher, known: LedgerRepository, { signal }: PollOptions): Promise<Greeting> {
  const { data, date } = await getRepository(github, { repository: known.full_name, signal });
  if (data.id !== known.repository_id) {
    throw new PermanentError(
      "github/not-found",
      `${known.full_name} is now another repository (id ${data.id}, was ${known.repository_id})`,
    );
  }
  if (data.full_name !== known.full_name) await renameRepository(db, known.repository_id, data.full_name);
  const logRetentionDays = await getLogRetention(github, { repository: data.full_name, signal });
  return { repository: { ...known, full_name: data.full_name }, date, logRetentionDays };
}

// Between looks back a poll costs one call: the client follows a rename, and refuses another repository's runs.
function unchanged({ github }: Fetcher, known: LedgerRepository): Greeting {
  return { repository: known, date: github.now(), logRetentionDays: known.log_retention_days ?? undefined };
}

// Retention is not retroactive, so a repository that now keeps 30 days may still have logs of 90.
function startOf(
  { settings }: Fetcher,
  { archive_since }: LedgerRepository,
  date: Date,
  logRetentionDays: number | undefined,
): Date {
  const wanted =
    settings.ARCHIVE_SINCE ?? new Date(date.getTime() - Math.max(logRetentionDays ?? 0, defaultRetentionDays) * dayMs);
  return archive_since !== null && archive_since < wanted ? archive_since : wanted;
}

function isRescanDue({ rescanned_at }: LedgerRepository, date: Date, { isFullPass }: PollOptions): boolean {
  return isFullPass || rescanned_at === null || date.getTime() - rescanned_at.getTime() >= rescanEveryMs;
}

function spansBefore(spans: readonly Window[], instant: Date): Window[] {
  return spans.filter(({ start }) => start < instant).map(({ start, end }) => ({ start, end: end < instant ? end : instant }));
}

async function visitOpenAttempts(
  fetcher: Fetcher,
  repository: LedgerRepository,
  { isFullPass, signal, onProgress }: PollOptions,
): Promise<void> {
  const visited = new Set<string>();
  for (;;) {
    const due = await listOpenAttempts(fetcher.db, repository.repository_id, {
      onlyDue: !isFullPass || visited.size > 0,
      limit: visitsAtOnce,
    });
    const fresh = due.filter(({ run_id, run_attempt }) => !visited.has(`${run_id}/${run_attempt}`));
    if (fresh.length === 0) return;
    for (const attempt of fresh) {
      signal.throwIfAborted();
      visited.add(`${attempt.run_id}/${attempt.run_attempt}`);
      await visitAttempt(fetcher, repository, attempt, signal);
      await onProgress?.();
    }
  }
}

async function noteProblem({ db, log, settings }: Fetcher, repositoryId: number, error: unknown): Promise<void> {
  if (!(error instanceof ActionsArchiveError)) return;
  const waitSeconds = error instanceof RateLimitedError ? (error.retryAt.getTime() - Date.now()) / 1000 : problemRetrySeconds;
  const nextPollSeconds = Math.max(settings.POLL_INTERVAL_SECONDS, waitSeconds);
  log.warn({ repositoryId, code: error.code, reason: error.message, nextPollSeconds }, "repository not listed");
  await finishPoll(db, repositoryId, { nextPollSeconds, problem: error.message });
}
